package driver_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// A full disk keeps a release from being put on record at the Unmount. The hold is given back when there is room again: the engine
// does not repeat an Unmount, and another node may wait for the directory.
func TestHoldIsGivenBackAfterAFullDisk(t *testing.T) {
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
}
