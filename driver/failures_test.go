package driver

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// What waits for its storage is tried again at once while that is away, and ever later when it is there and refuses.
func TestFailuresWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f failures
		away := fmt.Errorf("the server does not answer: %w", backend.ErrUnavailable)
		f.note("held", errors.New("node-2 has it"))
		assert.Equal(t, len(f.waiting()), 0, "another node's hold is no matter of the storage")
		f.note("films", away)
		assert.DeepEqual(t, f.due(), []string{"films"})

		f.note("films", errors.New("node-2 has it")) // it was started late
		assert.DeepEqual(t, f.waiting(), []string{"films"})
		assert.Equal(t, len(f.due()), 0, "it is started again in each turn")
		<-time.After(refusedPause)
		assert.DeepEqual(t, f.due(), []string{"films"})

		f.note("films", &stagingError{errors.New("no such share")})
		for _, minutes := range []int{1, 2, 4, 8, 15, 15} {
			pause := time.Duration(minutes) * time.Minute
			<-time.After(pause - time.Second)
			assert.Equal(t, len(f.due()), 0, pause)
			<-time.After(time.Second)
			assert.DeepEqual(t, f.due(), []string{"films"})
			f.refused("films")
		}
		f.note("films", &stagingError{away})
		assert.DeepEqual(t, f.due(), []string{"films"})
		f.note("films", nil)
		f.spare("films", time.Minute)
		assert.Equal(t, len(f.waiting()), 0)
		assert.Assert(t, f.pausing("films"))
	})
}
