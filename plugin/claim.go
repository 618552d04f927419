package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/plugin/process"
)

// Files of the state folder that say whose it is.
const (
	claimLock = "plugin.lock"
	claimFile = "plugin.json"
	claimTurn = "plugin.turn.lock" // held by who replaces claimLock
	maxClaim  = 4 << 10
)

// claimWait is how long a start waits for the folder: an engine may start the next process a moment before the last one is gone. It
// is well below the 10 s after which the engine gives a plugin up that does not listen (FACTS 1).
const claimWait = 3 * time.Second

// sayingTime is more than it takes to write claimFile after claimLock was taken.
const sayingTime = 500 * time.Millisecond

// turnTime is more than it takes to replace claimLock, which is asked for three times.
const turnTime = 4 * sayingTime

const whatToDo = ". Disable one of them (docker plugin ls), or give this one folders of its own (serve --state-dir and --run-dir)"

// errHangs says that the right to replace the lock stays with a process that does nothing any more.
var errHangs = errors.New("a plugin before this one was killed, and a call to the kernel that hangs keeps " + claimTurn)

// errTaken says that another plugin of this node works with the state folder.
var errTaken = errors.New("two plugins must not share one state")

// holder is who has the state folder.
type holder struct {
	PID     int    `json:"pid"`
	Started uint64 `json:"started"` // in clock ticks since boot
	Socket  string `json:"socket"`
}

// claimant is a process that wants the state folder.
type claimant struct {
	dir            *durable.Dir
	folder, socket string
	log            *logrus.Entry
}

// claim takes the state folder for this process, so that a second plugin, as under another alias, ends instead of sharing records of
// uses and holds with it. The lock falls with the process, however that ends. The error matches errTaken when somebody else has the
// folder; what else fails is left to those who work in the folder. It is given back with release.
func claim(ctx context.Context, folder, socket string, wait time.Duration, log *logrus.Entry) (release func(), err error) {
	release = func() {}
	dir, err := durable.Open(folder, durable.MakeAll())
	if err != nil {
		log.WithError(err).Warn("the state folder cannot be opened")
		return release, nil
	}
	c := claimant{dir: dir, folder: folder, socket: socket, log: log}
	lock, err := c.take(ctx, wait)
	if errors.Is(err, durable.ErrLocked) {
		lock, err = c.succeed(ctx)
	}
	switch {
	case errors.Is(err, errTaken):
		return release, errors.Join(err, dir.Close())
	case err != nil:
		log.WithError(err).Warn("the state folder cannot be locked")
		return release, dir.Close()
	}
	return func() { _ = errors.Join(lock.Unlock(), dir.Close()) }, nil
}

// take takes the lock, and says whose it is.
func (c claimant) take(ctx context.Context, wait time.Duration) (*durable.Lock, error) {
	lock, err := c.lock(ctx, claimLock, wait)
	if err != nil {
		return nil, err
	}
	me := process.Of(os.Getpid())
	text, err := json.Marshal(holder{PID: me.PID, Started: me.Started, Socket: c.socket})
	if err == nil {
		err = c.dir.Write(claimFile, append(text, '\n'))
	}
	if err != nil {
		c.log.WithError(err).Warn("the state folder does not say who has it")
	}
	return lock, nil
}

func (c claimant) lock(ctx context.Context, name string, wait time.Duration) (*durable.Lock, error) {
	limited, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return c.dir.Lock(limited, name)
}

// succeed says who has the folder. One that was killed and cannot end, because a call to the kernel hangs, has its files open for as
// long as that lasts, and does nothing any more: its successor does not wait for it, and makes a new lock under the old one's name. Then the
// old one guards nothing, also when that call ends. Successors are at it one after another, since the second one would replace the first
// one's lock.
func (c claimant) succeed(ctx context.Context) (*durable.Lock, error) {
	if err := c.taken(); err != nil {
		return nil, err
	}
	turn, err := c.lock(ctx, claimTurn, turnTime)
	if errors.Is(err, durable.ErrLocked) {
		if err = c.taken(); err == nil {
			err = errHangs
		}
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = turn.Unlock() }()
	return c.replace(ctx)
}

// replace makes a new lock. The old one is asked for twice before, because somebody may have taken it and not said so yet.
func (c claimant) replace(ctx context.Context) (*durable.Lock, error) {
	for range 2 {
		if err := c.taken(); err != nil {
			return nil, err
		}
		if lock, err := c.take(ctx, sayingTime); !errors.Is(err, durable.ErrLocked) {
			return lock, err
		}
	}
	if err := c.taken(); err != nil {
		return nil, err
	}
	if err := c.dir.Remove(claimLock); err != nil {
		return nil, err
	}
	lock, err := c.take(ctx, sayingTime)
	if errors.Is(err, durable.ErrLocked) {
		return nil, fmt.Errorf("another homelab-storage on this node has just begun to work with %s: %w%s", c.folder, errTaken, whatToDo)
	}
	if err == nil {
		c.log.Warn("the plugin before this one was killed, and a call to the kernel that hangs keeps its lock; there is a new one in its place")
	}
	return lock, err
}

// taken is an error when the one who said that it has the folder may still work with it.
func (c claimant) taken() error {
	other, err := readHolder(c.dir)
	if err != nil {
		return fmt.Errorf("another homelab-storage on this node works with %s (who: %w): %w%s", c.folder, err, errTaken, whatToDo)
	}
	if !process.Over(driver.Engine{PID: other.PID, Started: other.Started}) {
		return fmt.Errorf("another homelab-storage on this node (process %d, socket %s) works with %s: %w%s", other.PID, other.Socket, c.folder, errTaken, whatToDo)
	}
	return nil
}

func readHolder(dir *durable.Dir) (other holder, err error) {
	text, err := dir.Read(claimFile, maxClaim)
	if err == nil {
		err = json.Unmarshal(text, &other)
	}
	return other, err
}
