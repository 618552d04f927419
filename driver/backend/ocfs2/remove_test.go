package ocfs2_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

func TestTrash(t *testing.T) {
	b := mountedBench(t)
	was := volume("radarr", "apps/radarr")
	was.Class, was.Access, was.SQLite, was.Location.ReadOnly = "config", "exclusive", true, true
	v := create(t, b, was)
	assert.NilError(t, os.WriteFile(b.path("apps/radarr/db"), []byte("rows"), 0o600))
	for range 2 {
		assert.NilError(t, b.backend.Remove(t.Context(), v))
	}
	_, err := os.Stat(b.path("apps/radarr"))
	assert.ErrorIs(t, err, fs.ErrNotExist)
	trash, err := b.backend.TrashList(t.Context(), "media-apps")
	assert.NilError(t, err)
	assert.DeepEqual(t, trash, []backend.TrashEntry{{
		ID: "20260301T120000Z-radarr", Pool: "media-apps", Volume: "radarr", Subdir: "apps/radarr", Removed: b.now,
		Class: "config", Access: "exclusive", SQLite: true, Location: v.Location,
	}})

	again := volume("radarr", "apps/radarr")
	again.ID = id2
	again = create(t, b, again)
	for range 2 {
		assert.NilError(t, b.backend.TrashRestore(t.Context(), trash[0].ID, again))
	}
	text, err := os.ReadFile(b.path("apps/radarr/db"))
	assert.NilError(t, err)
	assert.Equal(t, string(text), "rows")
	_, err = b.backend.Stage(t.Context(), again)
	assert.NilError(t, err)
	trash, err = b.backend.TrashList(t.Context(), "media-apps")
	assert.NilError(t, err)
	assert.Equal(t, len(trash), 0)

	assert.NilError(t, b.backend.Remove(t.Context(), again))
	count, err := b.backend.TrashEmpty(t.Context(), "media-apps", "", b.now.Add(-time.Hour))
	assert.NilError(t, err)
	assert.Equal(t, count, 0)
	count, err = b.backend.TrashEmpty(t.Context(), "media-apps", "", b.now.Add(time.Hour))
	assert.NilError(t, err)
	assert.Equal(t, count, 1)
	entries, err := os.ReadDir(b.path(".homelab-storage/trash"))
	assert.NilError(t, err)
	assert.Equal(t, len(entries), 0)
	_, err = b.backend.TrashEmpty(t.Context(), "media-apps", "../catalog", b.now)
	assert.ErrorContains(t, err, "is no entry of the trash")
}

// A volume of a pool that was formatted again can be removed, as its refusal says; a directory of its name there is not its own.
func TestRemoveWhereThePoolIsAnotherOne(t *testing.T) {
	b := mountedBench(t)
	v := create(t, b, volume("radarr", "radarr"))
	b.kernel.UnmountHost(poolPath)
	b.settings.Pools[0].Device = "LABEL=media-apps"
	formatted := disk()
	formatted.UUID = other
	b.kernel.MountHost(poolPath, formatted)
	b.kernel.SetCluster(other, mounter.Cluster{Region: true})
	_, err := b.backend.Prepare(t.Context(), "media-apps")
	assert.NilError(t, err)
	assert.NilError(t, os.Mkdir(b.path("radarr"), 0o700))
	assert.NilError(t, os.WriteFile(b.path("radarr/db"), []byte("rows"), 0o600))
	_, err = b.backend.Stage(t.Context(), v)
	assert.ErrorContains(t, err, "remove the volume and create it again")
	assert.NilError(t, b.backend.Remove(t.Context(), v))
	text, err := os.ReadFile(b.path("radarr/db"))
	assert.NilError(t, err)
	assert.Equal(t, string(text), "rows")
}

func TestTrashRestoreOverwritesNothing(t *testing.T) {
	b := mountedBench(t)
	v := create(t, b, volume("radarr", "radarr"))
	assert.NilError(t, b.backend.Remove(t.Context(), v))
	again := volume("radarr", "radarr")
	again.ID = id2
	again = create(t, b, again)
	assert.ErrorContains(t, b.backend.TrashRestore(t.Context(), "20260301T120000Z-other", again), "there is no entry")
	assert.NilError(t, os.WriteFile(b.path("radarr/new"), nil, 0o600))
	err := b.backend.TrashRestore(t.Context(), "20260301T120000Z-radarr", again)
	assert.ErrorContains(t, err, "is not empty")
	_, err = os.Stat(b.path("radarr/new"))
	assert.NilError(t, err)
}

// An empty directory may be another volume's, with containers in it.
func TestTrashRestoreLeavesAnothersDirectory(t *testing.T) {
	b := mountedBench(t)
	v := create(t, b, volume("radarr", "radarr"))
	assert.NilError(t, os.WriteFile(b.path("radarr/db"), []byte("rows"), 0o600))
	assert.NilError(t, b.backend.Remove(t.Context(), v))
	other := volume("sonarr", "sonarr")
	other.ID = id2
	create(t, b, other)
	before, err := os.Stat(b.path("sonarr"))
	assert.NilError(t, err)
	again := create(t, b, volume("radarr", "sonarr"))
	err = b.backend.TrashRestore(t.Context(), "20260301T120000Z-radarr", again)
	assert.Error(t, err, `the directory "sonarr" is also the one of the volume(s) with the ID `+id2+`, so that the entry "20260301T120000Z-radarr" of the trash is not moved there; name another subdir`)
	after, err := os.Stat(b.path("sonarr"))
	assert.NilError(t, err)
	assert.Assert(t, os.SameFile(before, after))
	assert.NilError(t, b.backend.Remove(t.Context(), again), "the way back of Create")
	trash, err := b.backend.TrashList(t.Context(), "media-apps")
	assert.NilError(t, err)
	assert.Equal(t, len(trash), 1)
}

func TestRemoveRefusesMountsAndOthersDirectories(t *testing.T) {
	b := mountedBench(t)
	v := create(t, b, volume("radarr", "radarr"))
	b.kernel.MountHost(poolPath+"/radarr/disk", mountertest.FileSystem{Type: "ext4", Source: "/dev/sdz"})
	assert.ErrorContains(t, b.backend.Remove(t.Context(), v), "/dev/sdz is mounted at "+poolPath+"/radarr/disk")
	b.kernel.UnmountHost(poolPath + "/radarr/disk")
	second := volume("second", "radarr")
	second.ID = id2
	second = create(t, b, second)
	assert.Assert(t, second.Location.Adopted)
	assert.ErrorContains(t, b.backend.Remove(t.Context(), v), id2)
	assert.NilError(t, b.backend.Remove(t.Context(), second))
	assert.NilError(t, b.backend.Remove(t.Context(), v))
}

// A removal hangs with its pool, half done. Meanwhile another node ends it, and makes a volume of the same directory: that one stays.
func TestLateRemovalLeavesTheNextVolume(t *testing.T) {
	private, hung := "", false
	var b *bench
	b = mountedBench(t, durable.WithFault(func(op, name string) error {
		if op != durable.OpRename || !strings.HasSuffix(name, "/entry.json") || hung {
			return nil
		}
		hung = true
		assert.NilError(t, os.Rename(b.path("radarr"), b.path("moved by the other node")))
		assert.NilError(t, backend.RemoveMark(private, "radarr", id))
		assert.NilError(t, os.Mkdir(b.path("radarr"), 0o700))
		assert.NilError(t, os.WriteFile(b.path("radarr/db"), []byte("new rows"), 0o600))
		return backend.WriteMark(private, backend.Mark{Volume: id2, Subdir: "radarr"})
	}))
	private = b.path(".homelab-storage")
	v := create(t, b, volume("radarr", "radarr"))
	assert.NilError(t, b.backend.Remove(t.Context(), v))
	assert.Assert(t, hung)
	text, err := os.ReadFile(b.path("radarr/db"))
	assert.NilError(t, err)
	assert.Equal(t, string(text), "new rows")
	trash, err := b.backend.TrashList(t.Context(), "media-apps")
	assert.NilError(t, err)
	assert.Equal(t, len(trash), 0)
}
