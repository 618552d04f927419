package driver_test

import (
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// A hold lingers after a brief mount, such as the engine's copy-up; neither the sweep nor a restart shortens that or loses
// the release.
func TestLingeringHoldIsLeftToItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Linger = 3 * time.Second
		b.start(t)
		b.create(t, "vol", map[string]string{"class": "db"})
		b.mount(t, "vol", "copy-up")
		assert.NilError(t, b.driver.Unmount(t.Context(), "vol", "copy-up"))
		began := time.Now()
		stop := b.run(t) // sweeps at once
		defer stop()
		b.holders(t, 1)
		b.holders(t, 0)
		assert.Assert(t, time.Since(began) > 2*time.Second, "the hold was given back after %s", time.Since(began))
	})
}

// A pool that cannot be written out keeps its holds, and the sweep gives them back later.
func TestReleaseThatFailsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.create(t, "vol", map[string]string{"class": "db"})
		_, err := b.driver.Mount(t.Context(), "vol", "a", engine())
		assert.NilError(t, err)
		b.kernel.Fail(mountertest.OpSync, 1, os.ErrPermission)
		assert.NilError(t, b.driver.Unmount(t.Context(), "vol", "a"))
		poll.WaitOn(t, func(poll.LogT) poll.Result {
			if len(b.kernel.Actions(mountertest.OpSync)) > 0 {
				return poll.Success()
			}
			return poll.Continue("not synced yet")
		}, poll.WithTimeout(15*time.Second))
		b.holders(t, 1)
		b.start(t)
		stop := b.run(t)
		defer stop()
		b.holders(t, 0)
	})
}

// A volume that is just being unmounted is not given back with the pool's others, for which the pool was written out before its last write.
func TestResumeLeavesAnUnmountAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		for _, name := range []string{"due", "vol"} {
			b.create(t, name, map[string]string{"class": "db"})
			b.mount(t, name, "a")
		}
		b.kernel.Fail(mountertest.OpSync, 1, os.ErrPermission)
		assert.NilError(t, b.driver.Unmount(t.Context(), "due", "a"))
		<-time.After(time.Second)
		b.holders(t, 2)

		going := b.kernel.Hold(mountertest.OpUnmount, "")
		unmounted := make(chan error, 1)
		go func() { unmounted <- b.driver.Unmount(t.Context(), "vol", "a") }()
		assert.NilError(t, going.Reached(t.Context()))
		var writing *mountertest.Hold
		b.kernel.OnCall(func(action mountertest.Action) error {
			switch {
			case action.Op == mountertest.OpDo && action.Target == "holder "+poolUUID+" "+backend.DirectoryKey("due") && writing == nil:
				writing = b.kernel.Hold(mountertest.OpSync, "") // the pool is written out, and not once more
			case action.Op == mountertest.OpTable && writing != nil:
				b.kernel.Release(going)
				synctest.Wait()
			}
			return nil
		})
		b.driver.Resume(t.Context(), *b.pool.proven())
		b.kernel.OnCall(nil)
		b.kernel.Release(going)
		assert.NilError(t, <-unmounted)
		<-time.After(time.Second)
		b.holders(t, 1)
		b.kernel.Release(writing)
		b.holders(t, 0)
	})
}

// unsyncedOnce has the next fsync of the folder of records fail: what was written is there.
func (b *bench) unsyncedOnce(t *testing.T) (next func()) {
	t.Helper()
	failing := false
	b.options.Durable = append(b.options.Durable, durable.WithFault(func(op, name string) error {
		if failing && op == durable.OpSyncDir && name == "volumes" {
			failing = false
			return syscall.EIO
		}
		return nil
	}))
	b.start(t)
	return func() { failing = true }
}

// The intent of a removal may be on record although writing it failed. It is then carried out by itself, and not only at the next start:
// until then the volume could be neither used nor made again.
func TestRemovalThatFailedAndIsOnRecordIsCarriedOut(t *testing.T) {
	b := newBench(t)
	failNext := b.unsyncedOnce(t)
	b.create(t, "vol", map[string]string{"class": "db"})
	failNext()
	assert.ErrorIs(t, b.driver.Remove(t.Context(), "vol"), syscall.EIO)
	b.driver.Sweep(t.Context())
	_, err := b.driver.Get(t.Context(), "vol")
	assert.ErrorIs(t, err, driver.ErrNotFound)
}

// So may that of a Create, which is then taken back: nobody makes a volume at the next start that could not be made.
func TestCreateThatFailedAndIsOnRecordIsTakenBack(t *testing.T) {
	b := newBench(t)
	failNext := b.unsyncedOnce(t)
	failNext()
	assert.ErrorIs(t, b.driver.Create(t.Context(), "vol", map[string]string{"class": "db"}), syscall.EIO)
	b.start(t)
	stop := b.run(t)
	b.create(t, "other", map[string]string{"class": "db", "subdir": "vol"})
	stop()
	b.driver.Sweep(t.Context())
	_, err := b.driver.Get(t.Context(), "vol")
	assert.ErrorIs(t, err, driver.ErrNotFound)
}
