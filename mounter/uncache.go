package mounter

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// Part is a piece of a block device, in bytes; a length of 0 is all that follows.
type Part struct{ Offset, Length int64 }

// Uncache has this node forget what its page cache has of parts of a mounted disk (posix_fadvise(2), POSIX_FADV_DONTNEED). What is dirty or
// in use stays. It waits for nothing but the disk's open. ENODEV says that the mount's source is another device by now.
func (l *Linux) Uncache(ctx context.Context, disk Mount, parts []Part) error {
	err := l.guard.Do(ctx, "uncache "+disk.Source, func() error { return l.uncache(disk, parts) }, nil)
	return asked(err, "uncache", "", disk.Source)
}

func (l *Linux) uncache(disk Mount, parts []Part) error {
	device, err := l.calls.open("open", func() (int, error) {
		return unix.Open(l.HostPath(disk.Source), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return err
	}
	defer func() { _ = device.Close() }()
	var stat unix.Stat_t
	if err := l.calls.do("fstat", func() error { return unix.Fstat(number(device), &stat) }); err != nil {
		return err
	}
	if found := fmt.Sprintf("%d:%d", unix.Major(stat.Rdev), unix.Minor(stat.Rdev)); stat.Mode&unix.S_IFMT != unix.S_IFBLK || found != disk.Device {
		return fmt.Errorf("%s is device %s, not %s: %w", disk.Source, found, disk.Device, unix.ENODEV)
	}
	for _, part := range parts {
		if err := l.calls.do("fadvise", func() error {
			return unix.Fadvise(number(device), part.Offset, part.Length, unix.FADV_DONTNEED)
		}); err != nil {
			return err
		}
	}
	return nil
}
