package driver

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
)

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

func TestWayBackHasItsShareOfACall(t *testing.T) {
	for limit, want := range map[time.Duration]time.Duration{25 * time.Second: 22 * time.Second, 65 * time.Second: 62 * time.Second, 2 * time.Second: time.Second} {
		synctest.Test(t, func(t *testing.T) {
			call, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			steps, stop := working(call)
			defer stop()
			began := time.Now()
			<-steps.Done()
			assert.Equal(t, time.Since(began), want)
		})
	}
	steps, stop := working(t.Context())
	defer stop()
	_, limited := steps.Deadline()
	assert.Assert(t, !limited)
}
