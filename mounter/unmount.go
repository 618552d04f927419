package mounter

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Unmount takes the topmost mount at a target away. The error ENOTEMPTY says that the mount is gone but its folder has
// files, which were written there while nothing was mounted.
func (l *Linux) Unmount(ctx context.Context, target string) error {
	if err := absolute(target); err != nil {
		return asked(err, "unmount", "", target)
	}
	err := l.guard.Do(ctx, targetKey(target), func() error { return l.unmount(target) }, nil)
	return asked(err, "unmount", "", target)
}

// unmount asks the kernel first: it finds a mount point without touching what is mounted there, which may hang, and the
// mount table, which is long on a node with many volumes, is needed for masks only.
func (l *Linux) unmount(target string) error {
	err := l.calls.unmount(target)
	if errors.Is(err, unix.EBUSY) {
		err = l.unmountMasked(target, err)
	}
	switch {
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT): // nothing is mounted there
		return l.removeFolder(target)
	case err != nil:
		return err
	}
	if below, err := l.calls.isMountRoot(target); below || err != nil {
		return err // another one was below; the folder is its mount point
	}
	return l.removeFolder(target)
}

// unmountMasked unmounts a mount that is busy because of its masks. If it is busy without them too, it gets them back.
func (l *Linux) unmountMasked(target string, busy error) error {
	_, masks, _, err := l.mountAt(target)
	if err != nil {
		return err
	}
	if len(masks) == 0 {
		return busy
	}
	if err := l.uncover(target, masks); err != nil {
		return err
	}
	if err := l.calls.unmount(target); err != nil {
		return errors.Join(err, l.cover(target, masks))
	}
	return nil
}

// removeFolder removes a target's folder, so that nobody writes into it while nothing is mounted.
func (l *Linux) removeFolder(target string) error {
	err := l.calls.do("rmdir", func() error { return unix.Rmdir(target) })
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case errors.Is(err, unix.ENOTEMPTY):
		return l.notEmpty(target)
	default:
		return err
	}
}
