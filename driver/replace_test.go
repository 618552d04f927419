package driver_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// Storage that was replaced under a volume in use: the next Mount binds the new one, and the uses are counted on.
func TestReplacedStorage(t *testing.T) {
	b := newBench(t)
	b.create(t, "films", map[string]string{"device": "//nas/films"})
	mounted := func(id, path string) string {
		b.kernel.MountPlugin(path, mountertest.FileSystem{Type: "cifs", Source: path})
		assert.NilError(t, os.WriteFile(filepath.Join(b.kernel.PluginPath(path), "file"), []byte(path), 0o600))
		b.share.base.Store(&mounter.Place{Side: mounter.Plugin, Path: path})
		target, err := b.driver.Mount(t.Context(), "films", id, engine())
		assert.NilError(t, err)
		text, err := os.ReadFile(filepath.Join(target, "file"))
		assert.NilError(t, err)
		return string(text)
	}
	assert.Equal(t, mounted("a", "/shares/old"), "/shares/old")
	assert.Equal(t, mounted("b", "/shares/new"), "/shares/new")
	b.kernel.Fail(mountertest.OpBind, 1, syscall.ESTALE) // the directory was made anew on the server
	assert.Equal(t, mounted("c", "/shares/new"), "/shares/new")
	assert.NilError(t, b.driver.Unmount(t.Context(), "films", "c"))
	info, err := b.driver.Get(t.Context(), "films")
	assert.NilError(t, err)
	assert.Equal(t, info.Status["uses_on_this_node"], 2)
	assert.NilError(t, b.driver.Unmount(t.Context(), "films", "a"))
	assert.NilError(t, b.driver.Unmount(t.Context(), "films", "b"))
	_, err = os.Lstat(filepath.Join(b.options.MountRoot, "films"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// The mount table of a node with hundreds of volumes takes milliseconds to read: a Mount of a volume in use does not.
func TestMountOfAVolumeInUseReadsNoTable(t *testing.T) {
	b := newBench(t)
	b.create(t, "films", map[string]string{"device": "//nas/films"})
	b.kernel.MountPlugin("/shares/films", mountertest.FileSystem{Type: "cifs", Source: "//nas/films"})
	b.share.base.Store(&mounter.Place{Side: mounter.Plugin, Path: "/shares/films"})
	b.mount(t, "films", "a")
	before := len(b.kernel.Actions(mountertest.OpTable))
	b.mount(t, "films", "b")
	assert.Equal(t, len(b.kernel.Actions(mountertest.OpTable)), before)
}

// A share that refuses the password by now is not asked every 30 s to be mounted again under running containers.
func TestRebindOfARefusedShareWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.create(t, "films", map[string]string{"device": "//nas/films"})
		b.kernel.MountPlugin("/shares/films", mountertest.FileSystem{Type: "cifs", Source: "//nas/films"})
		b.share.base.Store(&mounter.Place{Side: mounter.Plugin, Path: "/shares/films"})
		target := b.mount(t, "films", "a")
		assert.NilError(t, b.kernel.Unmount(t.Context(), target)) // as a forced disable does
		b.share.refuses.Store(true)
		b.share.stages.Store(0)
		for range 20 { // ten minutes
			b.driver.Sweep(t.Context())
			<-time.After(30 * time.Second)
		}
		assert.Equal(t, b.share.stages.Load(), int32(2))
		b.share.refuses.Store(false)
		<-time.After(5 * time.Minute)
		b.driver.Sweep(t.Context())
		assert.DeepEqual(t, b.mounted(t), []string{"films"})
	})
}

// A share that stops answering between its proof and the bind is away: the containers that wait for it are started later.
func TestStorageThatHangsInTheBind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.create(t, "films", map[string]string{"device": "//nas/films"})
		b.kernel.MountPlugin("/shares/films", mountertest.FileSystem{Type: "cifs", Source: "//nas/films"})
		b.share.base.Store(&mounter.Place{Side: mounter.Plugin, Path: "/shares/films"})
		hold := b.kernel.Hold(mountertest.OpBind, "")
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		_, err := b.driver.Mount(ctx, "films", "a", engine())
		assert.ErrorIs(t, err, backend.ErrUnavailable)
		assert.ErrorContains(t, err, "//nas/films has not answered since ")
		b.kernel.Release(hold)
		poll.WaitOn(t, func(poll.LogT) poll.Result {
			if len(b.kernel.Actions(mountertest.OpUndo)) == 0 {
				return poll.Continue("the bind that came late is still there")
			}
			return poll.Success()
		})
	})
}
