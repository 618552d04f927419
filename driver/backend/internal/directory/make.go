package directory

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// Owner is what a new directory is given, once.
type Owner struct {
	UID, GID uint32
	Mode     fs.FileMode // permission bits as in chmod(1), 0 to 07777
}

// Exists says whether there is a directory; anything else in its place, or on the way to it, is an error.
func Exists(root *os.Root, subdir string) (bool, error) {
	dir, err := Open(root, subdir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, dir.Close()
}

// MakeAll makes what is missing of a directory and of those above it, 0755 as this process, each of them durably: the folder
// is synced after every mkdir, because a node that dies later would take the directory with it (FACTS 2).
func MakeAll(root *os.Root, subdir string, given ...durable.Option) error {
	dir, err := root.OpenRoot(".")
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	var done []string
	for name := range strings.SplitSeq(subdir, "/") {
		if subdir == "" {
			return nil
		}
		done = append(done, name)
		next, err := enter(dir, name, 0o755, given)
		if err != nil {
			return &Error{Path: strings.Join(done, "/"), Err: err}
		}
		_ = dir.Close()
		dir = next
	}
	return nil
}

// Make makes a directory and gives it its owner. One that exists, from an interrupted call, is given the owner again: the
// caller knows that it is its own. Those above it are made as by MakeAll.
func Make(root *os.Root, subdir string, owner Owner, given ...durable.Option) error {
	parent, name := split(subdir)
	if err := MakeAll(root, parent, given...); err != nil {
		return err
	}
	above, err := Open(root, parent)
	if err != nil {
		return err
	}
	defer func() { _ = above.Close() }()
	dir, err := enter(above, name, 0o700, given)
	if err != nil {
		return &Error{Path: subdir, Err: err}
	}
	defer func() { _ = dir.Close() }()
	if err := durable.Ask(durable.OpOwn, subdir, given...); err != nil {
		return err
	}
	return own(dir, owner)
}

// enter opens a directory that is made when it is missing.
func enter(parent *os.Root, name string, mode fs.FileMode, given []durable.Option) (*os.Root, error) {
	next, err := step(parent, name)
	if !errors.Is(err, fs.ErrNotExist) {
		return next, err
	}
	if err := durable.Ask(durable.OpMkdir, name, given...); err != nil {
		return nil, err
	}
	if err := parent.Mkdir(name, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, cause(err)
	}
	if err := Sync(parent, given...); err != nil {
		return nil, err
	}
	return step(parent, name)
}

// own sets owner and mode through the opened directory, so that nothing can be put in its place. chown first: it clears
// set-ID bits.
func own(dir *os.Root, owner Owner) error {
	file, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if err := file.Chown(int(owner.UID), int(owner.GID)); err != nil {
		return err
	}
	if err := file.Chmod(permissions(owner.Mode)); err != nil {
		return err
	}
	return file.Sync()
}

// permissions turns chmod(1)'s bits into those of package fs, which has its own for set-ID and sticky.
func permissions(bits fs.FileMode) fs.FileMode {
	mode := bits & fs.ModePerm
	for bit, special := range map[fs.FileMode]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if bits&bit != 0 {
			mode |= special
		}
	}
	return mode
}

// Sync makes the entries of a directory durable.
func Sync(dir *os.Root, given ...durable.Option) error {
	if err := durable.Ask(durable.OpSyncDir, dir.Name(), given...); err != nil {
		return err
	}
	file, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	return file.Sync()
}
