package ocfs2_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/internal/durable"
)

const entryID = "20260301T120000Z-radarr"

// trashed is a pool with one volume's data in its trash, and a step of the next call at which something is done.
func trashed(t *testing.T) (b *bench, at func(op, name string, do func() error)) {
	t.Helper()
	var step func(op, name string) error
	b = mountedBench(t, durable.WithFault(func(op, name string) error {
		if step == nil {
			return nil
		}
		return step(op, name)
	}))
	v := create(t, b, volume("radarr", "radarr"))
	for _, file := range []string{"a", "b", "c"} {
		assert.NilError(t, os.WriteFile(b.path("radarr/"+file), []byte("rows"), 0o600))
	}
	assert.NilError(t, b.backend.Remove(t.Context(), v))
	return b, func(op, name string, do func() error) {
		step = func(now, what string) error {
			if now != op || !strings.HasSuffix(what, name) {
				return nil
			}
			step = nil
			return do()
		}
	}
}

func again(t *testing.T, b *bench) backend.Volume {
	t.Helper()
	v := volume("radarr", "restored")
	v.ID = id2
	return create(t, b, v)
}

// A large entry is deleted for minutes, by whichever node: what is left of it meanwhile is no volume's data any more.
func TestHalfDeletedEntryIsNotRestored(t *testing.T) {
	b, at := trashed(t)
	at(durable.OpRemove, "b", func() error { return errors.New("the time is over") })
	_, err := b.backend.TrashEmpty(t.Context(), "media-apps", entryID, time.Time{})
	assert.ErrorContains(t, err, "the time is over")

	trash, err := b.backend.TrashList(t.Context(), "media-apps")
	assert.NilError(t, err)
	assert.Equal(t, len(trash), 0, "a part of the data is offered as the whole")
	err = b.backend.TrashRestore(t.Context(), entryID, again(t, b))
	assert.ErrorIs(t, err, backend.ErrRefused)
	assert.ErrorContains(t, err, "there is no entry")

	count, err := b.backend.TrashEmpty(t.Context(), "media-apps", "", b.now.Add(-time.Hour))
	assert.NilError(t, err)
	assert.Equal(t, count, 1, "what has begun is ended, whatever is asked for")
	entries, err := os.ReadDir(b.path(".homelab-storage/trash"))
	assert.NilError(t, err)
	assert.Equal(t, len(entries), 0)
}

// Another node restores an entry in the moment in which this one begins to delete it: it has all of it.
func TestDeleteLeavesWhatWasJustRestored(t *testing.T) {
	b, at := trashed(t)
	at(durable.OpRename, "", func() error {
		return os.Rename(b.path(".homelab-storage/trash/"+entryID+"/data"), b.path("restored"))
	})
	_, err := b.backend.TrashEmpty(t.Context(), "media-apps", entryID, time.Time{})
	assert.NilError(t, err)
	for _, file := range []string{"a", "b", "c"} {
		_, err := os.Stat(b.path("restored/" + file))
		assert.NilError(t, err)
	}
}

// And the other way round: the restore finds that nothing is left to restore, and its volume is not made.
func TestRestoreOfWhatIsJustBeingDeleted(t *testing.T) {
	b, at := trashed(t)
	v := again(t, b)
	at(durable.OpRename, "", func() error {
		folder := b.path(".homelab-storage/trash/" + entryID)
		return os.Rename(folder+"/data", folder+"/deleted")
	})
	err := b.backend.TrashRestore(t.Context(), entryID, v)
	assert.ErrorIs(t, err, backend.ErrRefused)
	assert.ErrorContains(t, err, "there is no entry")
	assert.NilError(t, b.backend.Remove(t.Context(), v), "the way back of Create")
	_, err = os.Stat(b.path("restored"))
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

// A removal that was cut off between the move and its end is not begun anew while the data is being deleted: what has the name by
// then is something else.
func TestRemoveAgainDuringTheDelete(t *testing.T) {
	b, at := trashed(t)
	at(durable.OpRemove, "b", func() error { return errors.New("the time is over") })
	_, err := b.backend.TrashEmpty(t.Context(), "media-apps", entryID, time.Time{})
	assert.ErrorContains(t, err, "the time is over")
	v := volume("radarr", "radarr")
	assert.NilError(t, backend.WriteMark(b.path(".homelab-storage"), backend.Mark{Volume: v.ID, Subdir: "radarr"}))
	assert.NilError(t, os.Mkdir(b.path("radarr"), 0o700))
	assert.NilError(t, b.backend.Remove(t.Context(), v))
	_, err = os.Stat(b.path("radarr"))
	assert.NilError(t, err)
}
