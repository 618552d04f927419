package driver

import (
	"context"
	"slices"
	"time"

	"github.com/homelab-storage/homelab-storage/internal/several"
)

// undoLimit bounds the way back of a failed call.
const undoLimit = 3 * time.Second

// working gives the steps of a call that may have to be taken back the call's time less what the way back takes, so that both
// end by the call's deadline (DESIGN D10): the engine's client gives up soon after it, without having seen what is wrong. Of a
// call in a hurry the way back keeps half.
func working(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(undoLimit, time.Until(deadline)/2)))
}

// undo takes back the steps of a call that failed, in reverse order. Use: `defer steps.fail(ctx, &err)`.
type undo struct{ steps []func(context.Context) error }

func (u *undo) add(step func(context.Context) error) { u.steps = append(u.steps, step) }

// fail runs the steps back when *err is set. It stops at one that fails, whose error is added: what came before it stands on
// what is still there.
func (u *undo) fail(ctx context.Context, err *error) {
	if *err == nil || len(u.steps) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
	defer cancel()
	for _, step := range slices.Backward(u.steps) {
		if failed := step(ctx); failed != nil {
			*err = several.Append(*err, failed)
			return
		}
	}
}
