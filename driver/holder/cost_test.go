package holder_test

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/holder"
	"github.com/homelab-storage/homelab-storage/internal/durable"
)

func TestFsyncsOfAJoin(t *testing.T) {
	l := newLab(t)
	var pool, disk int
	count := func(into *int) []durable.Option {
		return []durable.Option{durable.WithFault(func(op, _ string) error {
			if op == durable.OpFsync || op == durable.OpSyncDir {
				*into++
			}
			return nil
		})}
	}
	a := l.node(1, "boot-a", func(o *holder.Options) { o.Shared, o.Local = count(&pool), count(&disk) })
	assert.NilError(t, a.PublishNode(t.Context(), l.pool))
	assert.NilError(t, backend.WriteMark(l.pool.Private, backend.Mark{Volume: vol1, Subdir: "radarr"}))
	pool, disk = 0, 0
	l.join(a, "radarr", holder.Exclusive, vol1)
	assert.Equal(t, pool, 1, "a join")
	assert.Equal(t, disk, 0)
	l.join(a, "radarr", holder.Exclusive, vol1)
	assert.Equal(t, pool, 1, "the same again")
	pool = 0
	l.release(a, "radarr", vol1)
	assert.Equal(t, pool, 0, "a release")
	assert.Equal(t, disk, 0, "its intent ends with the boot, as the hold does")
	pool = 0
	l.join(a, "radarr", holder.Shared, vol1)
	assert.Equal(t, pool, 0, "a shared join")
	l.join(a, "radarr", holder.Exclusive, vol2)
	assert.Equal(t, pool, 1, "an exclusive one beside it")
}

// Renaming over a file has ext4 write its data out at once, so the first hold after a release must find no record.
func TestLastReleaseRemovesTheRecord(t *testing.T) {
	l := newLab(t)
	a := l.node(1, "boot-a")
	record := filepath.Join(l.pool.Private, backend.HoldersFolder, backend.DirectoryKey("radarr"), "record.json")
	l.join(a, "radarr", holder.Shared, vol1)
	l.join(a, "radarr", holder.Shared, vol2)
	l.release(a, "radarr", vol1)
	_, err := os.Stat(record)
	assert.NilError(t, err)
	l.release(a, "radarr", vol2)
	_, err = os.Stat(record)
	assert.ErrorIs(t, err, os.ErrNotExist)
}
