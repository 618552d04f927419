package driver

import (
	"context"
	"errors"
	"testing"

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
