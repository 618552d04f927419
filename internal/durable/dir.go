package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Operations that a fault function is asked about (see [WithFault]).
const (
	OpCreate  = "create"    // making a temporary file, or a file to append to
	OpWrite   = "write"     // writing its text
	OpFsync   = "fsync"     // fsync(2) of a file
	OpRename  = "rename"    // rename(2)
	OpSyncDir = "fsync-dir" // fsync(2) of a folder
	OpMkdir   = "mkdir"     // mkdir(2)
	OpRemove  = "remove"    // unlink(2) or rmdir(2)
	OpFlock   = "flock"     // flock(2)
	OpOwn     = "own"       // chown(2) and chmod(2)
)

const (
	folderMode fs.FileMode = 0o700
	fileMode   fs.FileMode = 0o600
)

// Errors of names and sizes.
var (
	// ErrName says that a name is not a clean path below the folder.
	ErrName = errors.New("not a clean name below the folder")
	// ErrTooLarge says that a file is larger than its reader accepts.
	ErrTooLarge = errors.New("the file is too large")
	// ErrLink says that a symbolic link is on the way to a name, or has the name of a file that is to be written.
	ErrLink = errors.New("a symbolic link is in the way")
	// ErrMount says that something else is mounted on the way to a name.
	ErrMount = errors.New("something else is mounted there")
	// ErrNotRegular says that something else than a plain file has the name.
	ErrNotRegular = errors.New("not a regular file")
)

// Dir is one open folder. Its methods may be called at once from several goroutines. It keeps a file descriptor, which
// makes a file system busy: close it as soon as the work is done where the file system may be unmounted.
type Dir struct {
	file     *os.File // a call that is under way keeps its descriptor from being closed, and given to another file
	path     string
	fault    func(op, name string) error
	volatile bool
	random   func() string
}

type options struct {
	make, makeAll, volatile bool
	fault                   func(op, name string) error
	sweep                   time.Duration
	now                     func() time.Time
}

// Option changes how a folder is opened.
type Option func(*options)

// Make makes the folder when it is missing. Its parent must be there: a pool that is not mounted is not replaced by a
// folder of the root disk.
func Make() Option { return func(o *options) { o.make = true } }

// MakeAll makes the folder and its missing parents.
func MakeAll() Option { return func(o *options) { o.makeAll = true } }

// Volatile leaves out every fsync: for a memory file system, whose content ends with the boot anyway.
func Volatile() Option { return func(o *options) { o.volatile = true } }

// WithFault has every durable step ask first; an error stops the step and is returned.
func WithFault(fault func(op, name string) error) Option {
	return func(o *options) { o.fault = fault }
}

// WithSweep removes, directly in the folder, temporary files that are older than age at now: they are what a crash left.
// An age well above the longest write protects those of a living writer on another node.
func WithSweep(age time.Duration, now func() time.Time) Option {
	return func(o *options) { o.sweep, o.now = age, now }
}

// Open opens a folder. A folder that is missing matches fs.ErrNotExist unless [Make] or [MakeAll] is given.
func Open(dir string, given ...Option) (*Dir, error) {
	var chosen options
	for _, option := range given {
		option(&chosen)
	}
	if err := chosen.prepare(dir); err != nil {
		return nil, fmt.Errorf("make the folder %s: %w", dir, err)
	}
	folder, err := openFolder(unix.AT_FDCWD, dir, &unix.OpenHow{})
	if err != nil {
		return nil, fmt.Errorf("open the folder %s: %w", dir, err)
	}
	opened := &Dir{file: os.NewFile(uintptr(folder), dir), path: dir, fault: chosen.fault, volatile: chosen.volatile, random: randomName}
	if chosen.sweep > 0 {
		if err := opened.Sweep(".", chosen.now().Add(-chosen.sweep)); err != nil {
			return nil, errors.Join(err, opened.Close())
		}
	}
	return opened, nil
}

// Folder opens a folder below this one, for several pieces of work in it; it is closed by itself. One that is missing matches
// fs.ErrNotExist.
func (d *Dir) Folder(name string) (*Dir, error) {
	if err := check(name); err != nil {
		return nil, err
	}
	below := &Dir{path: d.join(name), fault: d.fault, volatile: d.volatile, random: d.random}
	err := d.at(func(folder int) error {
		opened, err := openFolder(folder, name, beneath())
		if err == nil {
			below.file = os.NewFile(uintptr(opened), below.path)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open the folder %s: %w", below.path, err)
	}
	return below, nil
}

// prepare makes the folder, and with MakeAll its parents, each through a Dir of its parent so that it is durable.
func (o *options) prepare(dir string) error {
	if !o.make && !o.makeAll {
		return nil
	}
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if o.makeAll {
		if err := o.prepare(parent); err != nil {
			return err
		}
	}
	above, err := Open(parent, WithFault(o.fault), volatileIf(o.volatile))
	if err != nil {
		return err
	}
	return errors.Join(above.Mkdir(filepath.Base(dir)), above.Close())
}

func volatileIf(set bool) Option { return func(o *options) { o.volatile = set } }

// Path is the folder's path as it was opened.
func (d *Dir) Path() string { return d.path }

// Close gives the folder's descriptor back.
func (d *Dir) Close() error { return d.file.Close() }

// Ask is the step of those who work without a [Dir], as on directories that an [os.Root] opened: it asks the function of
// [WithFault], when there is one among the options, whether the step may be done.
func Ask(op, name string, given ...Option) error {
	var chosen options
	for _, option := range given {
		option(&chosen)
	}
	return (&Dir{fault: chosen.fault}).step(op, name)
}

// step asks the fault function whether a durable step may be done.
func (d *Dir) step(op, name string) error {
	if d.fault == nil {
		return nil
	}
	if err := d.fault(op, name); err != nil {
		return fmt.Errorf("%s %s: %w", op, name, err)
	}
	return nil
}

// check refuses names that are not clean and relative before the kernel sees them.
func check(name string) error {
	if name == "." || !fs.ValidPath(name) || strings.ContainsRune(name, 0) {
		return fmt.Errorf("%w: %q", ErrName, name)
	}
	return nil
}
