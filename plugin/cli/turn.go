package cli

import (
	"context"
	"errors"
	"time"

	"github.com/homelab-storage/homelab-storage/internal/durable"
)

const (
	// turnLock is held, in the run folder, by a command that enables, disables or removes the plugin.
	turnLock = "plugin.lock"
	// turnLimit is how long such a command waits for another one.
	turnLimit = time.Minute
)

// errNotOurTurn says that another command is at it.
var errNotOurTurn = errors.New("another docker homelab command is enabling, upgrading or removing the plugin of this node; try again when it has ended")

// turn waits for the commands of this node that change the plugin. The lock falls with the process. Who may not write to the run folder
// may not change the plugin either, and is told so by the engine.
func (s *session) turn(ctx context.Context, limit time.Duration) (end func(), err error) {
	dir, err := durable.Open(s.machine().RunFolder(), durable.MakeAll(), durable.Volatile())
	if err != nil {
		return func() {}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	lock, err := dir.Lock(ctx, turnLock)
	if errors.Is(err, durable.ErrLocked) {
		err = errNotOurTurn
	}
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return func() { _ = errors.Join(lock.Unlock(), dir.Close()) }, nil
}
