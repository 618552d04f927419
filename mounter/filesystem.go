package mounter

import (
	"context"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Filesystem asks statfs and, of OCFS2, the file system itself; of the others the mount table, which is read as a whole.
func (l *Linux) Filesystem(ctx context.Context, place Place) (Filesystem, error) {
	var facts Filesystem
	err := l.guard.Do(ctx, placeKey("filesystem", place), func() error {
		return l.onSide(place.Side, func() (err error) {
			facts, err = l.filesystem(place)
			return err
		})
	}, nil)
	if err != nil {
		return Filesystem{}, asked(err, "filesystem", "", place.Path)
	}
	return facts, nil
}

// filesystem runs on a thread of the place's side.
func (l *Linux) filesystem(place Place) (Filesystem, error) {
	directory, err := l.calls.directory(place.Path)
	if err != nil {
		return Filesystem{}, err
	}
	defer func() { _ = directory.Close() }()
	identity, err := l.calls.identity(directory)
	if err != nil {
		return Filesystem{}, err
	}
	statfs, err := l.statfs(directory)
	if err != nil {
		return Filesystem{}, err
	}
	facts := Filesystem{
		Magic: statfs.Type, ReadOnly: statfs.Flags&unix.ST_RDONLY != 0,
		Size: statfs.Blocks * uint64(statfs.Bsize), Available: statfs.Bavail * uint64(statfs.Bsize),
	}
	if statfs.Type == unix.OCFS2_SUPER_MAGIC {
		// Asked before every Mount of a database: its magic number and device say what the table would.
		facts.Type, facts.Device = "ocfs2", superblock(identity)
		facts.UUID, err = l.uuidOf(directory)
		return facts, err
	}
	return facts, l.fromTable(&facts, place.Side, int(identity.Mnt_id))
}

// fromTable completes facts with what only the mount table says.
func (l *Linux) fromTable(facts *Filesystem, side Side, id int) error {
	table, err := l.readTable(side)
	if err != nil {
		return err
	}
	index := slices.IndexFunc(table, func(m Mount) bool { return m.ID == id })
	if index < 0 {
		return fmt.Errorf("mount %d is not in the mount table any more: %w", id, unix.ESTALE)
	}
	facts.Type, facts.Device = table[index].FSType, table[index].Device
	facts.ReadOnly = facts.ReadOnly || table[index].ReadOnly
	return nil
}

func (l *Linux) statfs(directory *os.File) (unix.Statfs_t, error) {
	var facts unix.Statfs_t
	err := l.calls.do("statfs", func() error { return unix.Fstatfs(number(directory), &facts) })
	return facts, err
}

// uuidOf opens the directory for reading: an ioctl is not for O_PATH.
func (l *Linux) uuidOf(directory *os.File) (string, error) {
	readable, err := l.calls.readable(directory)
	if err != nil {
		return "", err
	}
	defer func() { _ = readable.Close() }()
	return l.calls.ocfs2UUID(readable)
}

// Sync writes a file system's dirty data out.
func (l *Linux) Sync(ctx context.Context, place Place) error {
	err := l.guard.Do(ctx, placeKey("sync", place), func() error {
		return l.onSide(place.Side, func() error { return l.sync(place.Path) })
	}, nil)
	return asked(err, "sync", "", place.Path)
}

func (l *Linux) sync(path string) error {
	directory, err := l.calls.directory(path)
	if err != nil {
		return err
	}
	defer func() { _ = directory.Close() }()
	readable, err := l.calls.readable(directory)
	if err != nil {
		return err
	}
	defer func() { _ = readable.Close() }()
	return l.calls.do("syncfs", func() error { return unix.Syncfs(number(readable)) })
}

func placeKey(what string, place Place) string {
	return fmt.Sprintf("%s %d %s", what, place.Side, place.Path)
}

// superblock is the file system of an opened file, as mount tables write it.
func superblock(facts unix.Statx_t) string {
	return fmt.Sprintf("%d:%d", facts.Dev_major, facts.Dev_minor)
}
