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
	maxClaim  = 4 << 10
)

// claimWait is how long a start waits for the folder: an engine may start the next process a moment before the last one is gone. It
// is well below the 10 s after which the engine gives a plugin up that does not listen (FACTS 1).
const claimWait = 3 * time.Second

// sayingTime is more than it takes to write claimFile after claimLock was taken.
const sayingTime = 500 * time.Millisecond

const whatToDo = ". Disable one of them (docker plugin ls), or give this one folders of its own (serve --state-dir and --run-dir)"

// errHangs says that the lock stays with a process that does nothing any more.
var errHangs = errors.New("the plugin before this one was killed, and a call to the kernel that hangs keeps its lock")

// errTaken says that another plugin of this node works with the state folder.
var errTaken = errors.New("two plugins must not share one state")

// holder is who has the state folder.
type holder struct {
	PID     int    `json:"pid"`
	Started uint64 `json:"started"` // in clock ticks since boot
	Socket  string `json:"socket"`
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
	lock, err := lockFolder(ctx, dir, wait)
	if errors.Is(err, durable.ErrLocked) {
		lock, err = succeed(ctx, dir, folder)
	}
	switch {
	case errors.Is(err, errTaken):
		return release, errors.Join(err, dir.Close())
	case err != nil:
		log.WithError(err).Warn("the state folder cannot be locked")
		return release, dir.Close()
	}
	me := process.Of(os.Getpid())
	text, err := json.Marshal(holder{PID: me.PID, Started: me.Started, Socket: socket})
	if err == nil {
		err = dir.Write(claimFile, append(text, '\n'))
	}
	if err != nil {
		log.WithError(err).Warn("the state folder does not say who has it")
	}
	return func() { _ = errors.Join(lock.Unlock(), dir.Close()) }, nil
}

func lockFolder(ctx context.Context, dir *durable.Dir, wait time.Duration) (*durable.Lock, error) {
	limited, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return dir.Lock(limited, claimLock)
}

// succeed says who has the folder. One that was killed and cannot end, because a call to the kernel hangs, has its files open for as
// long as that lasts, and does nothing any more: its successor does not wait for it, and works without the lock. It is asked twice,
// because somebody may have taken the lock and not said so yet.
func succeed(ctx context.Context, dir *durable.Dir, folder string) (*durable.Lock, error) {
	for range 2 {
		other, err := readHolder(dir)
		if err != nil {
			return nil, fmt.Errorf("another homelab-storage on this node works with %s (who: %w): %w%s", folder, err, errTaken, whatToDo)
		}
		if !process.Over(driver.Engine{PID: other.PID, Started: other.Started}) {
			return nil, fmt.Errorf("another homelab-storage on this node (process %d, socket %s) works with %s: %w%s", other.PID, other.Socket, folder, errTaken, whatToDo)
		}
		lock, err := lockFolder(ctx, dir, sayingTime)
		if !errors.Is(err, durable.ErrLocked) {
			return lock, err
		}
	}
	return nil, errHangs
}

func readHolder(dir *durable.Dir) (other holder, err error) {
	text, err := dir.Read(claimFile, maxClaim)
	if err == nil {
		err = json.Unmarshal(text, &other)
	}
	return other, err
}
