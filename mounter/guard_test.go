package mounter

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
)

func TestGuardPassesResultsOn(t *testing.T) {
	var guard Guard
	assert.NilError(t, guard.Do(t.Context(), "a", func() error { return nil }, nil))
	err := guard.Do(t.Context(), "a", func() error { return unix.EIO }, nil)
	assert.ErrorIs(t, err, unix.EIO)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err = guard.Do(ended, "a", func() error { panic("it must not start") }, nil)
	assert.ErrorIs(t, err, ErrStuck)
}

func TestGuardStuckThenBusyThenUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var guard Guard
		open := make(chan struct{})
		undone := 0
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		err := guard.Do(ctx, "a", func() error { <-open; return nil }, func() { undone++ })
		assert.ErrorIs(t, err, ErrStuck)
		assert.Equal(t, time.Since(start), 25*time.Second)
		stuck, ok := errors.AsType[*Error](err)
		assert.Assert(t, ok && !closed(stuck.Done), "it goes on")

		err = guard.Do(t.Context(), "a", func() error { return nil }, nil)
		assert.ErrorIs(t, err, ErrBusy)
		described, ok := errors.AsType[*Error](err)
		assert.Assert(t, ok && described.Since.Equal(start))
		since, busy := guard.Busy("a")
		assert.Assert(t, busy && since.Equal(start))
		assert.NilError(t, guard.Do(t.Context(), "b", func() error { return nil }, nil), "other keys are free")

		close(open)
		synctest.Wait()
		assert.Equal(t, undone, 1)
		assert.Assert(t, closed(stuck.Done))
		_, busy = guard.Busy("a")
		assert.Assert(t, !busy)
		assert.NilError(t, guard.Do(t.Context(), "a", func() error { return nil }, nil))
	})
}

func TestGuardDoesNotUndoALateFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var guard Guard
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		open := make(chan struct{})
		err := guard.Do(ctx, "a", func() error { <-open; return unix.EIO }, func() { t.Error("undone") })
		assert.ErrorIs(t, err, ErrStuck)
		close(open)
	})
}

func TestGuardRunsOneKeyInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var guard Guard
		running, most := 0, 0
		done := make(chan error, 10)
		for range cap(done) {
			go func() {
				done <- guard.Do(t.Context(), "a", func() error {
					running++ // no lock: the guard is one
					most = max(most, running)
					<-time.After(time.Second)
					running--
					return nil
				}, nil)
			}()
		}
		for range cap(done) {
			assert.NilError(t, <-done)
		}
		assert.Equal(t, most, 1)
	})
}

func TestGuardWaitersLeaveWhenTheFirstIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var guard Guard
		open := make(chan struct{})
		defer close(open)
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() { _ = guard.Do(short, "a", func() error { <-open; return nil }, nil) }()
		synctest.Wait()
		start := time.Now()
		err := guard.Do(t.Context(), "a", func() error { return nil }, nil)
		assert.ErrorIs(t, err, ErrBusy)
		assert.Equal(t, time.Since(start), time.Second)
	})
}

// A healthy call whose caller had hardly any time left is not stuck: who comes next waits for it, for a second since it began.
func TestGuardWaitsForTheCallOfAnImpatientCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for took, want := range map[time.Duration]error{900 * time.Millisecond: nil, 1100 * time.Millisecond: ErrBusy} {
			var guard Guard
			short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			err := guard.Do(short, "a", func() error { <-time.After(took); return nil }, nil)
			assert.ErrorIs(t, err, ErrStuck)
			cancel()
			start := time.Now()
			assert.ErrorIs(t, guard.Do(t.Context(), "a", func() error { return nil }, nil), want)
			assert.Equal(t, time.Since(start), min(took, time.Second)-time.Millisecond)
			hurried, stop := context.WithTimeout(t.Context(), time.Millisecond)
			_ = guard.Do(hurried, "b", func() error { <-time.After(took); return nil }, nil)
			stop()
			hurried, stop = context.WithTimeout(t.Context(), time.Millisecond)
			assert.ErrorIs(t, guard.Do(hurried, "b", func() error { return nil }, nil), ErrBusy)
			stop()
			<-time.After(time.Minute)
		}
	})
}

func TestGuardBoundsStuckCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var guard Guard
		open := make(chan struct{})
		var waiting atomic.Int32
		for n := range maxStuck + 100 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			err := guard.Do(ctx, string(rune('a'+n)), func() error { waiting.Add(1); <-open; return nil }, nil)
			if n < maxStuck {
				assert.ErrorIs(t, err, ErrStuck)
			} else {
				assert.ErrorIs(t, err, ErrBusy)
			}
			cancel()
		}
		assert.Equal(t, waiting.Load(), int32(maxStuck))
		close(open)
		synctest.Wait()
		assert.NilError(t, guard.Do(t.Context(), "a", func() error { return nil }, nil))
	})
}

func TestGuardWaitsForWhatWasGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var guard Guard
		assert.NilError(t, guard.Wait(t.Context()), "nothing runs")
		open, undone := make(chan struct{}), false
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, guard.Do(ctx, "a", func() error { <-open; return nil }, func() { <-time.After(time.Second); undone = true }), ErrStuck)
		assert.ErrorIs(t, guard.Wait(ctx), context.DeadlineExceeded)
		close(open)
		assert.NilError(t, guard.Wait(t.Context()))
		assert.Assert(t, undone)
	})
}

func TestGuardSurvivesWorkThatEndsItsGoroutine(t *testing.T) {
	var guard Guard
	err := guard.Do(t.Context(), "a", func() error { runtime.Goexit(); return nil }, nil)
	assert.ErrorIs(t, err, ErrStuck)
	assert.NilError(t, guard.Do(t.Context(), "a", func() error { return nil }, nil))
}
