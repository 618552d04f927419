package durable

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
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
	temp := path.Join(path.Dir(name), tempPrefix+d.random())
	if err := d.stage(temp, name, data, sync); err != nil {
		d.discard(temp)
		return fmt.Errorf("write %s: %w", d.join(name), err)
	}
	if err := d.move(temp, name); err != nil || sync != SyncAll {
		return err
	}
	return d.syncFolder(path.Dir(name))
}

// stage writes the temporary file and fsyncs it when that is asked for.
func (d *Dir) stage(temp, name string, data []byte, sync Sync) error {
	if err := d.step(OpCreate, name); err != nil {
		return err
	}
	file, err := d.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	return errors.Join(d.fill(file, name, data, sync), file.Close())
}

func (d *Dir) fill(file *os.File, name string, data []byte, sync Sync) error {
	if err := d.step(OpWrite, name); err != nil {
		return err
	}
	if _, err := file.Write(data); err != nil {
		return err
	}
	if sync == SyncNone {
		return nil
	}
	return d.sync(file, OpFsync, name)
}

func (d *Dir) sync(file *os.File, op, name string) error {
	if d.volatile {
		return nil
	}
	if err := d.step(op, name); err != nil {
		return err
	}
	return file.Sync()
}

// move renames. A rename that failed leaves the old file, and the temporary one is dropped.
func (d *Dir) move(temp, name string) error {
	err := d.step(OpRename, name)
	if err == nil {
		err = d.root.Rename(temp, name)
	}
	if err != nil {
		d.discard(temp)
		return fmt.Errorf("write %s: %w", d.join(name), err)
	}
	return nil
}

// discard removes a temporary file as far as possible; what stays is swept later. It asks the fault function, so that a
// process that "died" leaves the file behind as a real one would.
func (d *Dir) discard(temp string) {
	if d.step(OpRemove, temp) == nil {
		_ = d.root.Remove(temp) // best effort, see above
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
	file, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, fileMode)
	if err != nil {
		return fmt.Errorf("append to %s: %w", d.join(name), err)
	}
	if err := errors.Join(d.fill(file, name, data, SyncFile), file.Close()); err != nil {
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
	if err := d.root.Rename(from, to); err != nil {
		return fmt.Errorf("rename %s to %s: %w", d.join(from), to, err)
	}
	if path.Dir(from) == path.Dir(to) {
		return d.syncFolder(path.Dir(to))
	}
	return errors.Join(d.syncFolder(path.Dir(to)), d.syncFolder(path.Dir(from)))
}

// Remove removes a file or an empty folder and fsyncs its folder: one fsync. A name that is gone is success.
func (d *Dir) Remove(name string) error {
	gone, err := d.unlink(name)
	if err != nil || gone {
		return err
	}
	return d.syncFolder(path.Dir(name))
}

// Unlink is [Dir.Remove] without the fsync: for a file whose return after a power cut does no harm.
func (d *Dir) Unlink(name string) error {
	_, err := d.unlink(name)
	return err
}

func (d *Dir) unlink(name string) (gone bool, err error) {
	if err := check(name); err != nil {
		return false, err
	}
	if err := d.step(OpRemove, name); err != nil {
		return false, err
	}
	err = d.root.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("remove %s: %w", d.join(name), err)
	}
	return false, nil
}

// Mkdir makes a folder and fsyncs its parent: OCFS2 forgets a folder that is not synced when the node dies (FACTS 2). A
// folder that is there is success.
func (d *Dir) Mkdir(name string) error {
	if err := check(name); err != nil {
		return err
	}
	info, err := d.root.Lstat(name)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("make the folder %s: something else has the name: %w", d.join(name), fs.ErrExist)
	}
	if err := d.step(OpMkdir, name); err != nil {
		return err
	}
	if err := d.root.Mkdir(name, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the folder %s: %w", d.join(name), err)
	}
	return d.syncFolder(path.Dir(name))
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

// syncFolder makes the names in a folder durable.
func (d *Dir) syncFolder(folder string) error {
	if d.volatile {
		return nil
	}
	file, err := d.root.Open(folder)
	if err != nil {
		return fmt.Errorf("open the folder %s: %w", d.join(folder), err)
	}
	if err := errors.Join(d.sync(file, OpSyncDir, folder), file.Close()); err != nil {
		return fmt.Errorf("fsync the folder %s: %w", d.join(folder), err)
	}
	return nil
}

func (d *Dir) join(name string) string { return path.Join(d.path, name) }
