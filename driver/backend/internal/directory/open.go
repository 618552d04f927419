package directory

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// Errors of a component on the way to a directory, besides fs.ErrNotExist.
var (
	// ErrLink says that a component is a symbolic link.
	ErrLink = errors.New("is a symbolic link")
	// ErrNotDirectory says that a component is something else than a directory.
	ErrNotDirectory = errors.New("is not a directory")
	// ErrOtherFilesystem says that something else is mounted at a component.
	ErrOtherFilesystem = errors.New("is on another file system: something is mounted there")
	// ErrSwapped says that a component was exchanged while it was being opened.
	ErrSwapped = errors.New("was exchanged for something else just now")
)

// Error is what is wrong with one component of a directory.
type Error struct {
	Path string // the component, below the root
	Err  error  // one of this package's errors, or the kernel's
}

// Error names the component.
func (e *Error) Error() string {
	if errors.Is(e.Err, fs.ErrNotExist) {
		return fmt.Sprintf("%q does not exist", e.Path)
	}
	return fmt.Sprintf("%q %v", e.Path, e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Open opens a directory below root, "" for root itself. The caller closes it.
func Open(root *os.Root, subdir string) (*os.Root, error) {
	dir, err := root.OpenRoot(".")
	if err != nil || subdir == "" {
		return dir, err
	}
	var done []string
	for name := range strings.SplitSeq(subdir, "/") {
		done = append(done, name)
		next, err := step(dir, name)
		_ = dir.Close()
		if err != nil {
			return nil, &Error{Path: strings.Join(done, "/"), Err: err}
		}
		dir = next
	}
	return dir, nil
}

// step opens one real directory of the same file system.
func step(parent *os.Root, name string) (*os.Root, error) {
	seen, err := parent.Lstat(name)
	if err != nil {
		return nil, cause(err)
	}
	if err := realDirectory(seen); err != nil {
		return nil, err
	}
	next, err := parent.OpenRoot(name)
	if err != nil {
		return nil, cause(err)
	}
	if err := same(parent, next, seen); err != nil {
		_ = next.Close()
		return nil, err
	}
	return next, nil
}

// realDirectory refuses whatever is not a directory itself.
func realDirectory(info fs.FileInfo) error {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return ErrLink
	case !info.IsDir():
		return ErrNotDirectory
	}
	return nil
}

// same compares what was opened with what was seen, and its file system with its parent's.
func same(parent, opened *os.Root, seen fs.FileInfo) error {
	got, err := opened.Stat(".")
	if err != nil {
		return cause(err)
	}
	if !os.SameFile(seen, got) {
		return ErrSwapped
	}
	above, err := parent.Stat(".")
	if err != nil {
		return cause(err)
	}
	if device(above) != device(got) {
		return ErrOtherFilesystem
	}
	return nil
}

func device(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Dev
	}
	return 0
}

// cause drops the operation and path that os adds: the caller names the component.
func cause(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}
