package smb_test

import (
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// To unmount the shares of a server that is away takes its time, in which the others are looked after.
func TestSweepHoldsUpNoLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.many(t, 6)
		staged, err := b.backend.Stage(t.Context(), b.elsewhere())
		assert.NilError(t, err)
		b.bindTo(t, "o", staged)
		b.pass(time.Hour)
		holds := b.kernel.Hold(mountertest.OpUnmount, "")
		var looks atomic.Int32
		b.kernel.OnCall(func(action mountertest.Action) error {
			if action.Op == mountertest.OpDo && action.Target == "share "+staged.Base.Path {
				looks.Add(1)
			}
			return nil
		})
		stop := b.run(t)
		<-time.After(31 * time.Second)
		before := looks.Load()
		b.pass(longest)
		<-time.After(5 * time.Second)
		assert.Assert(t, looks.Load() > before)
		b.kernel.Release(holds)
		stop()
	})
}

// A share of a server that is away may be unmounted when the sweep has given up waiting for that. It is not mounted again for nobody.
func TestUnmountedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		_, err := b.backend.Stage(t.Context(), volume("v", ""))
		assert.NilError(t, err)
		_, end := b.hanging()
		b.dialling(refusing)
		b.pass(time.Hour)
		b.checked(t)
		assert.Assert(t, b.status()["problem"] != nil)
		holds := b.kernel.Hold(mountertest.OpUnmount, "")
		b.backend.Sweep(t.Context())
		b.kernel.Release(holds)
		end()
		synctest.Wait()
		b.dialling(accepting)
		b.pass(longest)
		b.checked(t)
		assert.Equal(t, b.mounts(), 1)
		assert.Equal(t, len(b.backend.Report()), 0)
		files, err := os.ReadDir(b.memory)
		assert.NilError(t, err)
		assert.Equal(t, len(files), 0)
	})
}
