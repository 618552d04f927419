package drivertest

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// A pool that somebody unmounts after it was proven, just before the bind, is not replaced by a folder of the root disk below it.
func TestPoolThatVanishesBeforeTheBind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &points{})
		defer w.end()
		w.create("vol", map[string]string{"class": "db"})
		vanishes := true
		w.kernel.OnCall(func(action mountertest.Action) error {
			if action.Op == mountertest.OpBind && vanishes {
				vanishes = false
				w.kernel.UnmountHost(poolPath)
				return os.MkdirAll(filepath.Join(w.kernel.HostPath(poolPath), "vol"), 0o755)
			}
			return nil
		})
		_, err := w.node.driver.Mount(t.Context(), "vol", "container", running)
		assert.ErrorIs(t, err, syscall.EXDEV)
		assert.Assert(t, !vanishes)
		table, err := w.kernel.Table(t.Context(), mounter.Plugin)
		assert.NilError(t, err)
		for _, line := range table {
			assert.Assert(t, line.Target != w.node.target("vol"), "a folder of the root disk is mounted")
		}
	})
}
