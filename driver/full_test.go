package driver_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// A full disk keeps a release from being put on record at the Unmount. The hold is given back when there is room again: the engine
// does not repeat an Unmount, and another node may wait for the directory.
func TestHoldIsGivenBackAfterAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.create(t, "vol", map[string]string{"class": "db"})
		b.mount(t, "vol", "a")
		b.driver.Sweep(t.Context()) // the holds are looked through at the start
		pending := filepath.Join(b.options.StateDir, "releases", "pending")
		assert.NilError(t, os.RemoveAll(pending))
		assert.NilError(t, os.WriteFile(pending, nil, 0o600)) // nothing can be made below it
		assert.NilError(t, b.driver.Unmount(t.Context(), "vol", "a"))
		b.driver.Sweep(t.Context())
		ended := time.NewTimer(2 * b.options.Linger) // the release itself fails, too
		<-ended.C
		b.driver.Sweep(t.Context())
		b.holders(t, 1)
		assert.ErrorContains(t, b.driver.Remove(t.Context(), "vol"), "this node's hold on it could not be given back yet")
		assert.NilError(t, os.Remove(pending))
		assert.NilError(t, os.Mkdir(pending, 0o700))
		b.driver.Sweep(t.Context())
		b.holders(t, 0)
		assert.NilError(t, b.driver.Remove(t.Context(), "vol"))
	})
}

// Create on a full disk says what can be deleted, and leaves nothing.
func TestFullDiskSaysWhatToDelete(t *testing.T) {
	b, full := newBench(t), false
	b.options.Durable = append(b.options.Durable, durable.WithFault(func(op, _ string) error {
		if full && op == durable.OpWrite {
			return syscall.ENOSPC
		}
		return nil
	}))
	b.start(t)
	full = true
	err := b.driver.Create(t.Context(), "vol", map[string]string{"class": "db"})
	assert.ErrorContains(t, err, "no space left on device; make room there: `docker homelab trash ls`")
	full = false
	b.create(t, "vol", map[string]string{"class": "db"})
}
