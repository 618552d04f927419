package holder_test

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/holder"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// A join whose caller gave up while the thread had the lock takes the hold late: it is given back all the same.
func TestJoinThatEndsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		a, b := l.node(1, "boot-a"), l.node(2, "boot-b")
		a.kernel.reading = make(chan struct{})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := a.Join(ctx, l.directory("radarr"), holder.Exclusive, vol1)
		assert.ErrorIs(t, err, mounter.ErrStuck)
		close(a.kernel.reading)
		synctest.Wait()
		assert.DeepEqual(t, a.Pending(), map[string][]string{l.pool.UUID: {vol1}})
		released, err := a.Resume(t.Context(), l.pool, func(string) holder.Verdict { return holder.Give })
		assert.NilError(t, err)
		assert.DeepEqual(t, released, []string{vol1})
		l.join(b, "radarr", holder.Exclusive, vol1)
	})
}

// A join that waited for another node, and may have taken the hold in the end, says so when that could not be put on record.
func TestJoinThatEndsLateAndUnrecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		var broken atomic.Bool
		a := l.node(1, "boot-a", func(options *holder.Options) {
			options.Local = append(options.Local, durable.WithFault(func(string, string) error {
				if broken.Load() {
					return syscall.ENOSPC
				}
				return nil
			}))
		})
		l.join(l.node(2, "boot-b"), "radarr", holder.Exclusive, vol2)
		a.kernel.reading = make(chan struct{}, 1)
		a.kernel.reading <- struct{}{} // for one look; the next one hangs
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ended := make(chan error)
		go func() {
			_, err := a.Join(ctx, l.directory("radarr"), holder.Exclusive, vol1)
			ended <- err
		}()
		synctest.Wait()
		broken.Store(true)
		err := <-ended
		assert.ErrorIs(t, err, holder.ErrUnrecorded)
		assert.ErrorContains(t, err, `directory "radarr" of pool`)
		_, held := errors.AsType[*holder.HeldError](err)
		assert.Assert(t, held)
		close(a.kernel.reading)
		synctest.Wait()
	})
}

// A join that took the hold and then fails on the node's own disk leaves a release pending that is done when the disk works again.
func TestJoinThatFailsAfterItTookTheHold(t *testing.T) {
	l := newLab(t)
	broken := false
	a := l.node(1, "boot-a", func(options *holder.Options) {
		options.Local = append(options.Local, durable.WithFault(func(op, _ string) error {
			if broken && op == durable.OpRemove {
				return syscall.EIO
			}
			return nil
		}))
	})
	b := l.node(2, "boot-b")
	assert.NilError(t, a.Intend(l.directory("radarr"), vol1))
	broken = true
	_, err := a.Join(t.Context(), l.directory("radarr"), holder.Exclusive, vol1)
	assert.ErrorIs(t, err, syscall.EIO)
	broken = false
	released, err := a.Resume(t.Context(), l.pool, func(string) holder.Verdict { return holder.Give })
	assert.NilError(t, err)
	assert.DeepEqual(t, released, []string{vol1})
	l.join(b, "radarr", holder.Exclusive, vol1)
}
