package keylock_test

import (
	"context"
	"sync"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/internal/keylock"
)

func TestOneHolderPerKey(t *testing.T) {
	var locks keylock.Locks
	var group sync.WaitGroup
	count := 0
	for range 50 {
		group.Go(func() {
			unlock, err := locks.Lock(t.Context(), "a")
			assert.Check(t, err)
			defer unlock()
			count++
		})
	}
	group.Wait()
	assert.Equal(t, count, 50)
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	var locks keylock.Locks
	unlock, err := locks.Lock(t.Context(), "a")
	assert.NilError(t, err)
	other, err := locks.Lock(t.Context(), "b")
	assert.NilError(t, err)
	other()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, err = locks.Lock(ctx, "a")
	assert.ErrorIs(t, err, context.Canceled)
	unlock()
	again, err := locks.Lock(t.Context(), "a")
	assert.NilError(t, err)
	again()
}

func TestTryLockWaitsForNobody(t *testing.T) {
	var locks keylock.Locks
	unlock, free := locks.TryLock("a")
	assert.Assert(t, free)
	_, free = locks.TryLock("a")
	assert.Assert(t, !free)
	other, free := locks.TryLock("b")
	assert.Assert(t, free)
	other()
	unlock()
	unlock, err := locks.Lock(t.Context(), "a")
	assert.NilError(t, err)
	unlock()
}
