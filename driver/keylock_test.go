package driver

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
)

func TestKeyLockTakesTurnsPerKey(t *testing.T) {
	var locks keyLock
	var group sync.WaitGroup
	counts := map[string]*int{"a": new(int), "b": new(int)}
	for range 200 {
		for key, count := range counts {
			group.Go(func() {
				unlock, err := locks.lock(t.Context(), key)
				assert.Check(t, err)
				*count++ // the race detector sees a lock that does not exclude
				unlock()
			})
		}
	}
	group.Wait()
	assert.Equal(t, *counts["a"]+*counts["b"], 400)
	assert.Equal(t, len(locks.keys), 0, "no key is kept")
}

func TestKeyLockGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var locks keyLock
		unlock, err := locks.lock(t.Context(), "a")
		assert.NilError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = locks.lock(ctx, "a")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		unlock()
		unlock, err = locks.lock(t.Context(), "a")
		assert.NilError(t, err)
		unlock()
	})
}

func TestUndoRunsBackwardsOnFailureOnly(t *testing.T) {
	var order []int
	run := func(result error) (err error) {
		var steps undo
		defer steps.fail(t.Context(), &err)
		for i := range 3 {
			steps.add(func(context.Context) error {
				order = append(order, i)
				return nil
			})
		}
		return result
	}
	assert.NilError(t, run(nil))
	assert.Equal(t, len(order), 0)
	assert.ErrorContains(t, run(errors.New("no")), "no")
	assert.DeepEqual(t, order, []int{2, 1, 0})
}
