package durable

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLocked says that somebody else, in this process, on this node or on another one, holds the lock.
var ErrLocked = errors.New("the lock is held")

// Back-off of [Dir.Lock]. A contended flock between two nodes costs 1.4-4 ms (FACTS 2), so that asking more often only
// burdens the lock manager.
const (
	firstWait = 2 * time.Millisecond
	longWait  = 100 * time.Millisecond
)

// Lock is a lock that is held.
type Lock struct{ file int }

// TryLock takes the lock of a file, which is made when missing, or returns an error that matches [ErrLocked] at once. On
// OCFS2 the call itself hangs while the node that held the lock is dead and not yet recovered (FACTS 2).
func (d *Dir) TryLock(name string) (*Lock, error) {
	if err := check(name); err != nil {
		return nil, err
	}
	for {
		lock, current, err := d.tryLock(name)
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", d.join(name), err)
		}
		if current {
			return lock, nil
		}
		if err := lock.Unlock(); err != nil {
			return nil, err
		}
	}
}

// tryLock also says whether the locked file still has the name: somebody may have removed it between open and flock, and
// a lock of a nameless file guards nothing.
func (d *Dir) tryLock(name string) (lock *Lock, current bool, err error) {
	if err := d.step(OpFlock, name); err != nil {
		return nil, false, err
	}
	err = d.in(name, func(folder int, base string) error {
		file, err := openAt(folder, base, unix.O_RDWR|unix.O_CREAT|unix.O_NONBLOCK)
		if err != nil {
			return err
		}
		if current, err = flock(file, folder, base); err != nil {
			return errors.Join(err, unix.Close(file))
		}
		lock = &Lock{file: file}
		return nil
	})
	return lock, current, err
}

// flock locks an open file and says whether it has the name.
func flock(file, folder int, base string) (current bool, err error) {
	err = again(func() error { return unix.Flock(file, unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, ErrLocked
	}
	if err != nil {
		return false, err
	}
	var mine unix.Stat_t
	if err := again(func() error { return unix.Fstat(file, &mine) }); err != nil {
		return false, err
	}
	named, err := statAt(folder, base)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return named.Ino == mine.Ino && named.Dev == mine.Dev, err
}

// Lock takes the lock of a file and waits for it, asking again and again with growing pauses, until the context ends. The
// error then matches both [ErrLocked] and the context's.
func (d *Dir) Lock(ctx context.Context, name string) (*Lock, error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for wait := firstWait; ; wait = min(2*wait, longWait) {
		lock, err := d.TryLock(name)
		if err == nil || !errors.Is(err, ErrLocked) {
			return lock, err
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", err, context.Cause(ctx))
		case <-timer.C:
		}
	}
}

// Unlock gives the lock back. The file stays.
func (l *Lock) Unlock() error {
	if l.file < 0 {
		return os.ErrClosed
	}
	file := l.file
	l.file = -1
	return unix.Close(file)
}
