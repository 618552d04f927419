package credential

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// ReadFile reads a credentials file that only this process's user may read. path is what this process opens, shown is what
// the operator calls it. A missing file matches fs.ErrNotExist.
func ReadFile(path, shown string) (Credentials, error) {
	// O_NONBLOCK: a pipe of that name must not block.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return Credentials{}, fmt.Errorf("credentials file %s: %w", shown, cause(err))
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return Credentials{}, fmt.Errorf("credentials file %s: %w", shown, cause(err))
	}
	if err := private(info, shown); err != nil {
		return Credentials{}, err
	}
	found, err := Parse(file)
	if err != nil {
		return Credentials{}, fmt.Errorf("credentials file %s: %w", shown, err)
	}
	return found, nil
}

// private refuses a file that others may read or change.
func private(info fs.FileInfo, shown string) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("credentials file %s is not a regular file", shown)
	case ok && int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("credentials file %s belongs to user %d; repair it with: chown root:root %s && chmod 600 %s", shown, stat.Uid, shown, shown)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("credentials file %s has mode %04o, so that others may use it; repair it with: chmod 600 %s", shown, info.Mode().Perm(), shown)
	}
	return nil
}

// cause drops the path that os adds: it may be one that the operator does not know.
func cause(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}
