package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Read returns a file's text. A file over limit bytes matches [ErrTooLarge], a missing one fs.ErrNotExist, and a symbolic
// link, a pipe or a folder [ErrNotRegular]: none of them is waited for or followed.
func (d *Dir) Read(name string, limit int64) ([]byte, error) {
	file, err := d.open(name)
	if err != nil {
		return nil, err
	}
	data, err := readAll(file, limit)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("read %s: %w", d.join(name), err)
	}
	return data, nil
}

// Reader opens a file to be read in pieces, with the same rules as [Dir.Read] but for the limit.
func (d *Dir) Reader(name string) (io.ReadCloser, error) { return d.open(name) }

// open opens a regular file only. O_NONBLOCK keeps a pipe that was put there meanwhile from blocking.
func (d *Dir) open(name string) (*os.File, error) {
	if err := check(name); err != nil {
		return nil, err
	}
	before, err := d.root.Lstat(name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", d.join(name), err)
	}
	if !before.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: %w (%s)", d.join(name), ErrNotRegular, before.Mode().Type())
	}
	file, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", d.join(name), err)
	}
	return file, nil
}

func readAll(file *os.File, limit int64) ([]byte, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, ErrNotRegular
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are read", ErrTooLarge, info.Size(), limit)
	}
	data := make([]byte, 0, info.Size()+1)
	for {
		n, err := file.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case errors.Is(err, io.EOF):
			return data, nil
		case err != nil:
			return nil, err
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
	entries, err := fs.ReadDir(d.root.FS(), folder)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", d.join(folder), err)
	}
	return entries, nil
}

// Exists says whether something has the name; it does not follow symbolic links.
func (d *Dir) Exists(name string) (bool, error) {
	if err := check(name); err != nil {
		return false, err
	}
	_, err := d.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", d.join(name), err)
	}
	return true, nil
}
