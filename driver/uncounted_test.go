package driver_test

import (
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// uncounted makes and mounts a volume, which a process uses from then on, and loses the count of its uses.
func (b *bench) uncounted(t *testing.T, name string) (target string) {
	t.Helper()
	b.create(t, name, map[string]string{"class": "db"})
	target = b.mount(t, name, "running")
	assert.NilError(t, os.WriteFile(filepath.Join(b.options.RunDir, "references", name+".json"), []byte("{"), 0o600))
	b.kernel.SetUsers(target, mounter.User{PID: 4242, Name: "radarr", Target: "/config"})
	b.start(t)
	return target
}

// Another node that asks for the hold of such a volume is told that it is used, however often it asks.
func TestHoldOfAVolumeInUseIsKeptWithoutItsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.uncounted(t, "vol")
		defer b.run(t)()
		for _, token := range []string{"first", "second"} {
			b.writeNote(t, "node1.asked", note{Version: 1, Token: token, Subdir: "vol"})
			assert.Equal(t, b.readNote(t, "node1.answer").Use, "the volume vol is mounted (docker ps --filter volume=vol)")
			b.holders(t, 1)
		}
		assert.ErrorContains(t, b.driver.Remove(t.Context(), "vol"), "it is in use on this node")
		assert.DeepEqual(t, b.mounted(t), []string{"vol"})
		b.holders(t, 1)
	})
}

// Nor is it removed, whatever it is stored on.
func TestVolumeInUseIsNotRemovedWithoutItsCount(t *testing.T) {
	b := newBench(t)
	target := b.uncounted(t, "vol")
	err := b.driver.Remove(t.Context(), "vol")
	assert.ErrorContains(t, err, "it is in use on this node by a container; remove the containers first (docker ps -a --filter volume=vol)")
	assert.Equal(t, len(b.pool.trash), 0)
	b.holders(t, 1)
	b.kernel.Fail(mountertest.OpUsers, 1, syscall.EMFILE)
	assert.ErrorIs(t, b.driver.Remove(t.Context(), "vol"), syscall.EMFILE)
	b.kernel.SetUsers(target)
	assert.NilError(t, b.driver.Remove(t.Context(), "vol"))
	assert.DeepEqual(t, b.pool.trash, []string{"vol"})
}

// A second container whose Mount fails takes nothing away from the first one.
func TestFailedMountBesideAnUncountedUse(t *testing.T) {
	for what, failing := range map[string]string{
		"the use cannot be counted":  "vol.json",
		"the directory is not bound": string(mountertest.OpBind),
		"the catalog is not read":    "catalog cluster",
	} {
		t.Run(what, func(t *testing.T) {
			b := newBench(t)
			var broken atomic.Bool
			fail := func(names ...string) error {
				if broken.Load() && slices.Contains(names, failing) {
					return syscall.EIO
				}
				return nil
			}
			b.options.Durable = append(b.options.Durable, durable.WithFault(func(_, name string) error { return fail(name) }))
			b.kernel.OnCall(func(action mountertest.Action) error { return fail(string(action.Op), action.Target) })
			b.uncounted(t, "vol")
			b.create(t, "other", map[string]string{"class": "db"}) // attaches the catalog
			broken.Store(true)
			_, err := b.driver.Mount(t.Context(), "vol", "backup", engine())
			assert.ErrorIs(t, err, syscall.EIO)
			broken.Store(false)
			b.start(t) // waits for the releases
			b.driver.Sweep(t.Context())
			assert.DeepEqual(t, b.mounted(t), []string{"vol"})
			b.holders(t, 1)
		})
	}
}
