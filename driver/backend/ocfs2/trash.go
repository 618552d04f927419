package ocfs2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/internal/directory"
	"github.com/homelab-storage/homelab-storage/internal/durable"
)

const (
	entryFile = "entry.json"
	dataName  = "data"
	// doomedName is what the data is called from the beginning of its deletion.
	doomedName = "deleted"
	maxEntry   = 64 << 10
	// stamp begins an entry's name, so that names sort by time.
	stamp = "20060102T150405Z"
)

// entry is what an entry's folder says of its data.
type entry struct {
	Version  int              `json:"version"`
	ID       string           `json:"id"`
	Volume   string           `json:"volume"`
	VolumeID string           `json:"volume_id"`
	Subdir   string           `json:"subdir"`
	Class    string           `json:"class,omitempty"`
	Access   string           `json:"access,omitempty"`
	SQLite   bool             `json:"sqlite,omitempty"`
	Removed  time.Time        `json:"removed"`
	Location backend.Location `json:"location"`
	data     bool             // the data is there; else a crash came between
	doomed   bool             // its deletion has begun
}

// TrashList lists the data of removed volumes on a pool, the oldest first.
func (b *Backend) TrashList(ctx context.Context, name string) ([]backend.TrashEntry, error) {
	pool, err := b.trashPool(ctx, name)
	if errors.Is(err, backend.ErrUnused) {
		return nil, nil // no volume was ever made on it
	}
	if err != nil {
		return nil, err
	}
	var found []backend.TrashEntry
	err = b.work(ctx, pool, "trash", func(root *os.Root) error {
		entries, err := entries(root, pool.private())
		for _, e := range entries {
			if e.data {
				found = append(found, e.public(pool.Name))
			}
		}
		return err
	})
	if err != nil {
		return nil, b.slow(pool.Pool, err)
	}
	return found, nil
}

func (e entry) public(pool string) backend.TrashEntry {
	return backend.TrashEntry{
		ID: e.ID, Pool: pool, Volume: e.Volume, Subdir: e.Subdir, Class: e.Class,
		Access: e.Access, SQLite: e.SQLite, Location: e.Location, Removed: e.Removed,
	}
}

// trashPool proves a pool for its trash. One that was never used has none: the error is then backend.ErrUnused.
func (b *Backend) trashPool(ctx context.Context, name string) (proven, error) {
	pool, err := b.find(name, name == standaloneName)
	if err != nil {
		return proven{}, err
	}
	return b.prove(ctx, pool, wanted{})
}

// entries reads the trash. A folder that cannot be understood is passed over: it hides no other.
func entries(root *os.Root, private string) ([]entry, error) {
	dir, err := durable.Open(private)
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }()
	folders, err := dir.List(backend.TrashFolder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var found []entry
	for _, folder := range folders {
		text, err := dir.Read(path.Join(backend.TrashFolder, folder.Name(), entryFile), maxEntry)
		if err != nil {
			continue
		}
		read := entry{}
		if json.Unmarshal(text, &read) != nil || !directory.IsClean(read.Subdir) {
			continue
		}
		read.ID = folder.Name()
		read.data, read.doomed = present(root, dataPath(read.ID)), present(root, doomedPath(read.ID))
		found = append(found, read)
	}
	return found, err
}

func present(root *os.Root, name string) bool {
	_, err := root.Lstat(name)
	return err == nil
}

func entryPath(id string) string {
	return path.Join(backend.PrivateFolder, backend.TrashFolder, id)
}

func dataPath(id string) string { return path.Join(entryPath(id), dataName) }

func doomedPath(id string) string { return path.Join(entryPath(id), doomedName) }

// newEntry describes what is about to be moved.
func (b *Backend) newEntry(volume backend.Volume) entry {
	removed := b.now().UTC()
	return entry{
		Version: 1, ID: removed.Format(stamp) + "-" + volume.Name, Volume: volume.Name, VolumeID: volume.ID,
		Subdir: volume.Location.Subdir, Class: volume.Class, Access: volume.Access, SQLite: volume.SQLite,
		Removed: removed, Location: volume.Location,
	}
}

// write makes the entry's folder and text durable, before anything is moved into it.
func (b *Backend) write(private string, e entry) error {
	text, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	dir, err := durable.Open(private, b.durable...)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	folder := path.Join(backend.TrashFolder, e.ID)
	if err := dir.MkdirAll(folder); err != nil {
		return err
	}
	return dir.Write(path.Join(folder, entryFile), append(text, '\n'))
}

// move renames a directory and makes both folders durable. What arrived must be what was
// seen before: a container may have exchanged something on the way, and then it is moved back.
func (b *Backend) move(root *os.Root, from, to string) error {
	seen, err := stat(root, from)
	if err != nil {
		return err
	}
	if err := durable.Ask(durable.OpRename, to, b.durable...); err != nil {
		return err
	}
	if err := root.Rename(from, to); err != nil {
		return err
	}
	arrived, err := stat(root, to)
	if err == nil && !os.SameFile(seen, arrived) {
		err = errors.Join(&directory.Error{Path: from, Err: directory.ErrSwapped}, root.Rename(to, from))
	}
	if err != nil {
		return err
	}
	for _, folder := range []string{path.Dir(to), path.Dir(from)} {
		if err := b.syncFolder(root, folder); err != nil {
			return err
		}
	}
	return nil
}

// stat describes a directory that is reached without a link.
func stat(root *os.Root, name string) (fs.FileInfo, error) {
	dir, err := directory.Open(root, name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }()
	return dir.Stat(".")
}

func (b *Backend) syncFolder(root *os.Root, name string) error {
	if name == "." {
		return directory.Sync(root, b.durable...)
	}
	dir, err := directory.Open(root, name)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(dir, b.durable...), dir.Close())
}

func checkEntryID(id string) error {
	if id == "" || strings.ContainsAny(id, "/\x00") || strings.HasPrefix(id, ".") {
		return fmt.Errorf("%q is no entry of the trash; `docker homelab trash ls` lists them", id)
	}
	return nil
}
