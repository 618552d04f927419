package driver_test

import (
	"fmt"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// An entry that is not found may be on the pool whose trash cannot be read: nobody is to take that data for gone.
func TestTrashRestoreNamesThePoolThatIsAway(t *testing.T) {
	b := newBench(t)
	b.pool.restore = func() error { return nil }
	err := b.driver.TrashRestore(t.Context(), "other", "")
	assert.Error(t, err, `there is no trash entry "other"; `+"`docker homelab trash ls` lists them")
	b.pool.trashError = fmt.Errorf("pool app-data is not mounted: its trash is not listed: %w", backend.ErrUnavailable)
	err = b.driver.TrashRestore(t.Context(), "other", "")
	assert.ErrorContains(t, err, `there is no trash entry "other"`)
	assert.ErrorContains(t, err, "pool app-data is not mounted: its trash is not listed")
	b.pool.trashError = nil
	assert.NilError(t, b.driver.TrashRestore(t.Context(), "entry", "films"))
}

// A negative age would be all of the trash.
func TestTrashEmptyRefusesANegativeAge(t *testing.T) {
	b := newBench(t)
	_, err := b.driver.TrashEmpty(t.Context(), "", "", -7*24*time.Hour)
	assert.Error(t, err, "nothing was deleted: the age -168h0m0s of what is to be deleted is negative; write it without the sign")
}
