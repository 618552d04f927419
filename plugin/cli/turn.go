package cli

import (
	"context"
	"errors"
	"time"

	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/plugin/engine"
)

const (
	// turnLock is held, in the run folder, by a command that enables, disables or removes the plugin.
	turnLock = "turn.lock"
	// turnLimit is how long such a command waits for another one.
	turnLimit = time.Minute
)

// errNotOurTurn says that another command is at it.
var errNotOurTurn = errors.New("another docker homelab command is enabling, upgrading or removing the plugin of this node; try again when it has ended")

// turn waits for the commands of this node that change the plugin; the error is errNotOurTurn when they take longer than the limit. The lock
// falls with the process.
func (s *session) turn(ctx context.Context, limit time.Duration) (end func(), err error) {
	dir, err := durable.Open(s.machine().RunFolder(), durable.MakeAll(), durable.Volatile())
	if err != nil {
		return nil, err
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

// onEngine does something with the engine of this node.
func onEngine(work func(*engine.Engine) error) (err error) {
	here, err := engine.Here()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, here.Close()) }()
	return work(here)
}

// withPlugin does something with the engine and the plugin that it has of ours, while no other command does. Where there can be no lock, as
// in a run folder that is full, it goes on without: it may be what mends the node. Who may not write there may not change the plugin either,
// and is told so by the engine.
func (s *session) withPlugin(ctx context.Context, work func(*engine.Engine, engine.Plugin) error) error {
	end, err := s.turn(ctx, turnLimit)
	if errors.Is(err, errNotOurTurn) {
		return errNotOurTurn
	}
	if err == nil {
		defer end()
	}
	return onEngine(func(here *engine.Engine) error {
		plugin, err := theOne(ctx, here)
		if errors.Is(err, errNoPlugin) {
			return s.removedBy(err)
		}
		if err != nil {
			return err
		}
		return work(here, plugin)
	})
}
