package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Read returns a file's text. A file over limit bytes matches [ErrTooLarge], a missing one fs.ErrNotExist, and a symbolic
// link, a pipe or a folder [ErrNotRegular]: none of them is waited for or followed.
func (d *Dir) Read(name string, limit int64) (data []byte, err error) {
	if err := check(name); err != nil {
		return nil, err
	}
	err = d.in(name, func(folder int, base string) error {
		file, size, err := openRegular(folder, base)
		if err != nil {
			return err
		}
		if size > limit {
			err = fmt.Errorf("%w: %d bytes, at most %d are read", ErrTooLarge, size, limit)
		} else {
			data, err = readAll(file, size, limit)
		}
		return errors.Join(err, unix.Close(file))
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", d.join(name), err)
	}
	return data, nil
}

// Reader opens a file to be read in pieces, with the same rules as [Dir.Read] but for the limit.
func (d *Dir) Reader(name string) (io.ReadCloser, error) {
	if err := check(name); err != nil {
		return nil, err
	}
	var opened *os.File
	err := d.in(name, func(folder int, base string) error {
		file, _, err := openRegular(folder, base)
		if err == nil {
			opened = os.NewFile(uintptr(file), d.join(name))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", d.join(name), err)
	}
	return opened, nil
}

// openRegular opens a regular file only, and gives its size. O_NONBLOCK keeps a pipe from blocking.
func openRegular(folder int, base string) (file int, size int64, err error) {
	file, err = openAt(folder, base, unix.O_RDONLY|unix.O_NONBLOCK)
	if errors.Is(err, ErrLink) || errors.Is(err, unix.ENXIO) { // ENXIO is a socket's
		return -1, 0, fmt.Errorf("%w: %w", ErrNotRegular, err)
	}
	if err != nil {
		return -1, 0, err
	}
	var facts unix.Stat_t
	err = again(func() error { return unix.Fstat(file, &facts) })
	if err == nil && facts.Mode&unix.S_IFMT != unix.S_IFREG {
		err = ErrNotRegular
	}
	if err != nil {
		return -1, 0, errors.Join(err, unix.Close(file))
	}
	return file, facts.Size, nil
}

// readAll asks for one byte more than the file has: when as many come as it has, that was all.
func readAll(file int, size, limit int64) ([]byte, error) {
	data := make([]byte, 0, size+1)
	for {
		var n int
		err := again(func() (err error) {
			n, err = unix.Read(file, data[len(data):cap(data)])
			return err
		})
		if err != nil {
			return nil, err
		}
		data = data[:len(data)+n]
		switch {
		case n == 0, int64(len(data)) == size:
			return data, nil
		case int64(len(data)) > limit:
			return nil, fmt.Errorf("%w: it grew over %d bytes", ErrTooLarge, limit)
		case len(data) == cap(data):
			data = append(data, 0)[:len(data)]
		}
	}
}

// List returns the entries of a folder ("." for this one), sorted by name, temporary files included.
func (d *Dir) List(folder string) ([]fs.DirEntry, error) {
	if folder != "." {
		if err := check(folder); err != nil {
			return nil, err
		}
	}
	var entries []fs.DirEntry
	err := d.at(func(above int) error {
		opened, err := openFolder(above, folder, beneath())
		if err != nil {
			return err
		}
		file := os.NewFile(uintptr(opened), d.join(folder))
		entries, err = file.ReadDir(-1)
		return errors.Join(err, file.Close())
	})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", d.join(folder), err)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// Empty says whether the folder has no entry. It looks at a few, however many there are.
func (d *Dir) Empty() (bool, error) {
	var names []string
	err := d.at(func(folder int) error {
		opened, err := openFolder(folder, ".", beneath())
		if err != nil {
			return err
		}
		file := os.NewFile(uintptr(opened), d.path)
		names, err = file.Readdirnames(1)
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return errors.Join(err, file.Close())
	})
	if err != nil {
		return false, fmt.Errorf("list %s: %w", d.path, err)
	}
	return len(names) == 0, nil
}

// Exists says whether something has the name; it does not follow symbolic links.
func (d *Dir) Exists(name string) (bool, error) {
	if err := check(name); err != nil {
		return false, err
	}
	err := d.in(name, func(folder int, base string) error {
		_, err := statAt(folder, base)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", d.join(name), err)
	}
	return true, nil
}
