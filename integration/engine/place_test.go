package engine

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"
)

// A place that is being removed is not in the way of who looks for those that ended programs have left, nor the other way around.
func TestReapBesideRemove(t *testing.T) {
	done, reaped := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-done:
				close(reaped)
				return
			default:
				if err := reap(); err != nil {
					reaped <- err
					return
				}
			}
		}
	}()
	for range 100 {
		p, err := newPlace()
		assert.NilError(t, err)
		assert.NilError(t, os.MkdirAll(filepath.Join(p.folder, "a", "b"), 0o700))
		assert.NilError(t, p.remove())
		_, err = os.Stat(p.folder)
		assert.ErrorIs(t, err, os.ErrNotExist)
	}
	close(done)
	assert.NilError(t, <-reaped)
}
