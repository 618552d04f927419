package durable

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tempPrefix begins the names of temporary files. No record begins with a dot, so that they cannot be mistaken.
const tempPrefix = ".tmp-"

// randomName is unique across processes and nodes that share a folder.
func randomName() string { return strings.ToLower(rand.Text()) }

// IsTemporary says whether a name is that of a temporary file, to be passed over when a folder is listed.
func IsTemporary(name string) bool { return strings.HasPrefix(path.Base(name), tempPrefix) }

// Sync says how much of a written file is on the disk when the call returns. In every case other processes see the old text
// or the new one, never a part.
type Sync int

const (
	// SyncAll makes the new text survive a power cut: two fsyncs, of the file and of its folder.
	SyncAll Sync = iota
	// SyncFile may bring the old text back after a power cut, but never a part: one fsync, of the file.
	SyncFile
	// SyncNone may, on a file system without ordered data, leave an empty or torn file after a power cut: no fsync.
	SyncNone
)

// Write replaces a file as a whole, with SyncAll. After an error the old text or the new one is there, never a part.
func (d *Dir) Write(name string, data []byte) error { return d.WriteSync(name, data, SyncAll) }

// WriteSync is Write with a choice of what a power cut may do.
func (d *Dir) WriteSync(name string, data []byte, sync Sync) error {
	if err := check(name); err != nil {
		return err
	}
	return d.in(name, func(folder int, base string) error {
		temp := tempPrefix + d.random()
		err := d.stage(folder, temp, name, data, sync)
		if err == nil {
			if err = d.step(OpRename, name); err == nil {
				err = again(func() error { return unix.Renameat(folder, temp, folder, base) })
			}
		}
		if err != nil {
			d.discard(folder, temp)
			return fmt.Errorf("write %s: %w", d.join(name), err)
		}
		if sync != SyncAll {
			return nil
		}
		return d.syncFolder(folder, path.Dir(name))
	})
}

// stage writes the temporary file and fsyncs it when that is asked for.
func (d *Dir) stage(folder int, temp, name string, data []byte, sync Sync) error {
	if err := d.step(OpCreate, name); err != nil {
		return err
	}
	file, err := openAt(folder, temp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return err
	}
	return errors.Join(d.fill(file, name, data, sync), unix.Close(file))
}

func (d *Dir) fill(file int, name string, data []byte, sync Sync) error {
	if err := d.step(OpWrite, name); err != nil {
		return err
	}
	for len(data) > 0 {
		var n int
		err := again(func() (err error) {
			n, err = unix.Write(file, data)
			return err
		})
		if err != nil {
			return err
		}
		data = data[n:]
	}
	if sync == SyncNone {
		return nil
	}
	return d.sync(file, OpFsync, name)
}

func (d *Dir) sync(file int, op, name string) error {
	if d.volatile {
		return nil
	}
	if err := d.step(op, name); err != nil {
		return err
	}
	return again(func() error { return unix.Fsync(file) })
}

// discard removes a temporary file as far as possible; what stays is swept later. It asks the fault function, so that a
// process that "died" leaves the file behind as a real one would.
func (d *Dir) discard(folder int, temp string) {
	if d.step(OpRemove, temp) == nil {
		_ = unix.Unlinkat(folder, temp, 0) // best effort, see above
	}
}

// Append adds data at the end of a file and fsyncs it: one fsync. A power cut or a full disk may leave a part of data, so
// the reader must be able to tell a whole entry from a part.
func (d *Dir) Append(name string, data []byte) error {
	if err := check(name); err != nil {
		return err
	}
	if err := d.step(OpCreate, name); err != nil {
		return err
	}
	err := d.in(name, func(folder int, base string) error {
		file, err := openAt(folder, base, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND)
		if err != nil {
			return err
		}
		return errors.Join(d.fill(file, name, data, SyncFile), unix.Close(file))
	})
	if err != nil {
		return fmt.Errorf("append to %s: %w", d.join(name), err)
	}
	return nil
}

// Rename gives a file another name below the same folder, replacing what has it, and fsyncs the folders.
func (d *Dir) Rename(from, to string) error {
	if err := errors.Join(check(from), check(to)); err != nil {
		return err
	}
	if err := d.step(OpRename, to); err != nil {
		return err
	}
	err := d.in(from, func(source int, old string) error {
		return d.in(to, func(target int, base string) error {
			if err := again(func() error { return unix.Renameat(source, old, target, base) }); err != nil {
				return err
			}
			err := d.syncFolder(target, path.Dir(to))
			if path.Dir(from) != path.Dir(to) {
				err = errors.Join(err, d.syncFolder(source, path.Dir(from)))
			}
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("rename %s to %s: %w", d.join(from), to, err)
	}
	return nil
}

// Remove removes a file or an empty folder and fsyncs its folder: one fsync. A name that is gone is success.
func (d *Dir) Remove(name string) error {
	return d.remove(name, func(folder int) error { return d.syncFolder(folder, path.Dir(name)) })
}

// Unlink is [Dir.Remove] without the fsync: for a file whose return after a power cut does no harm.
func (d *Dir) Unlink(name string) error {
	return d.remove(name, func(int) error { return nil })
}

func (d *Dir) remove(name string, removed func(folder int) error) error {
	if err := check(name); err != nil {
		return err
	}
	if err := d.step(OpRemove, name); err != nil {
		return err
	}
	err := d.in(name, func(folder int, base string) error {
		if err := removeAt(folder, base); err != nil {
			return err
		}
		return removed(folder)
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", d.join(name), err)
	}
	return nil
}

// removeAt removes a file or an empty folder.
func removeAt(folder int, base string) error {
	return again(func() error {
		err := unix.Unlinkat(folder, base, 0)
		if errors.Is(err, unix.EISDIR) {
			err = unix.Unlinkat(folder, base, unix.AT_REMOVEDIR)
		}
		return err
	})
}

// Mkdir makes a folder and fsyncs its parent: OCFS2 forgets a folder that is not synced when the node dies (FACTS 2). A
// folder that is there is success.
func (d *Dir) Mkdir(name string) error {
	if err := check(name); err != nil {
		return err
	}
	err := d.in(name, func(folder int, base string) error {
		seen, err := statAt(folder, base)
		switch {
		case err == nil && seen.Mode&unix.S_IFMT == unix.S_IFDIR:
			return nil
		case err == nil:
			return fmt.Errorf("something else has the name: %w", fs.ErrExist)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		if err := d.step(OpMkdir, name); err != nil {
			return err
		}
		err = again(func() error { return unix.Mkdirat(folder, base, uint32(folderMode)) })
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return d.syncFolder(folder, path.Dir(name))
	})
	if err != nil {
		return fmt.Errorf("make the folder %s: %w", d.join(name), err)
	}
	return nil
}

// MkdirAll makes a folder and its missing parents below this one.
func (d *Dir) MkdirAll(name string) error {
	if err := check(name); err != nil {
		return err
	}
	for at := range len(name) {
		if name[at] == '/' {
			if err := d.Mkdir(name[:at]); err != nil {
				return err
			}
		}
	}
	return d.Mkdir(name)
}

// Sweep removes the temporary files in a folder ("." for this one) that were written before a time.
func (d *Dir) Sweep(folder string, before time.Time) error {
	entries, err := d.List(folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !IsTemporary(entry.Name()) {
			continue
		}
		info, err := entry.Info()
		if err != nil || !info.ModTime().Before(before) {
			continue // gone meanwhile, or a living writer's
		}
		if err := d.Unlink(path.Join(folder, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// syncFolder makes the names in an open folder durable.
func (d *Dir) syncFolder(folder int, name string) error {
	if err := d.sync(folder, OpSyncDir, name); err != nil {
		return fmt.Errorf("fsync the folder %s: %w", d.join(name), err)
	}
	return nil
}

func (d *Dir) join(name string) string { return path.Join(d.path, name) }
