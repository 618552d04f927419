package mounter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxValue is the longest value that fsconfig(2) takes: strndup_user(value, 256) counts the zero byte (fs/fsopen.c).
const maxValue = 255

// maxInterrupted bounds how often a mount is tried again that a signal to its thread interrupted.
const maxInterrupted = 3

// MountShare mounts an SMB share through the new mount API.
func (l *Linux) MountShare(ctx context.Context, share Share) error {
	options := shareOptions(share)
	if err := checkMount(share.Target, options); err != nil {
		return asked(err, "mount", share.Source, share.Target)
	}
	made := false
	err := l.guard.Do(ctx, targetKey(share.Target), func() error {
		err := l.mountNew("cifs", options, unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOSUID, share.Target)
		made = err == nil
		return err
	}, func() { l.undo(made, share.Target) })
	return asked(err, "mount", share.Source, share.Target)
}

// shareOptions is what fsconfig gets, the user's options last but for the credentials.
func shareOptions(share Share) []Option {
	options := append([]Option{{Name: "source", Value: share.Source}}, share.Options...)
	if share.User != "" {
		options = append(options, Option{Name: "user", Value: share.User})
	}
	if !share.Password.IsZero() {
		options = append(options, Option{Name: "pass", Value: share.Password.Reveal()})
	}
	if share.Domain != "" {
		options = append(options, Option{Name: "domain", Value: share.Domain})
	}
	return options
}

// MountTmpfs mounts a memory file system.
func (l *Linux) MountTmpfs(ctx context.Context, spec Tmpfs) error {
	options := []Option{
		{Name: "source", Value: "homelab-storage"},
		{Name: "size", Value: strconv.FormatInt(spec.Size, 10)},
		{Name: "uid", Value: strconv.FormatUint(uint64(spec.UID), 10)},
		{Name: "gid", Value: strconv.FormatUint(uint64(spec.GID), 10)},
		{Name: "mode", Value: strconv.FormatUint(uint64(spec.Mode)&0o7777, 8)},
	}
	if err := checkMount(spec.Target, options); err != nil {
		return asked(err, "mount", "tmpfs", spec.Target)
	}
	if spec.Size <= 0 {
		return asked(fmt.Errorf("a size of %d bytes: %w", spec.Size, unix.EINVAL), "mount", "tmpfs", spec.Target)
	}
	attributes := unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOSUID
	if spec.ReadOnly {
		attributes |= unix.MOUNT_ATTR_RDONLY
	}
	made := false
	err := l.guard.Do(ctx, targetKey(spec.Target), func() error {
		err := l.mountNew("tmpfs", options, attributes, spec.Target)
		if made = err == nil; errors.Is(err, unix.EEXIST) {
			return cmp.Or(l.seen(spec.Target), err)
		}
		return l.shown(made, err, spec.Target)
	}, func() { l.undo(made, spec.Target) })
	return asked(err, "mount", "tmpfs", spec.Target)
}

// checkMount refuses what the kernel would refuse without saying why.
func checkMount(target string, options []Option) error {
	for _, option := range options {
		if len(option.Value) > maxValue {
			return fmt.Errorf("the value of %s has %d bytes; the kernel takes %d at most: %w",
				option.Name, len(option.Value), maxValue, unix.EINVAL)
		}
	}
	return absolute(target)
}

// mountNew mounts a new file system at a target that has none.
func (l *Linux) mountNew(fsType string, options []Option, attributes int, target string) error {
	there, _, occupied, err := l.mountAt(target)
	if err != nil {
		return err
	}
	if occupied {
		return fmt.Errorf("%s (%s) is mounted there already; unmount it first: %w", there.Source, there.FSType, unix.EEXIST)
	}
	for try := 1; ; try++ {
		tree, err := l.calls.fileSystem(fsType, options, attributes)
		if err == nil {
			defer func() { _ = tree.Close() }()
			return l.attach(tree, target)
		}
		if !errors.Is(err, unix.EINTR) || try == maxInterrupted {
			return err
		}
	}
}
