package mounter

import (
	"context"
	"errors"
	"fmt"
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

func (l *Linux) unmount(target string) error {
	table, err := l.readTable(Plugin)
	if err != nil {
		return err
	}
	if there, ok := topmostAt(table, target); ok {
		if err := l.unmountTree(target, masksOf(table, there)); err != nil {
			return err
		}
		if _, ok, err = l.mountAt(target); ok || err != nil {
			return err // another one was below; the folder is its mount point
		}
	}
	return l.removeFolder(target)
}

// unmountTree unmounts a mount with its masks. A busy one gets its masks back.
func (l *Linux) unmountTree(target string, masks []string) error {
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
		return fmt.Errorf("the folder under the mount is not empty: something wrote into it while nothing was mounted; "+
			"look at its files and move them away: %w", err)
	default:
		return err
	}
}
