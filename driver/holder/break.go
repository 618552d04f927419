package holder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// Break removes a node's hold. It is refused with an error that matches [ErrLive] while the node is not proven to be gone,
// unless force is set: the operator has then made sure that nothing on that node uses the directory. With force a damaged
// record is set aside, whoever is asked for. An error that matches [ErrNone] says that the node has no hold.
func (k *Keeper) Break(ctx context.Context, directory Directory, node string, force bool) error {
	if err := directory.validate(); err != nil {
		return err
	}
	err := k.do(ctx, directory, func() error {
		return k.locked(ctx, directory, func(open folders) error { return k.breakLocked(ctx, open, directory, node, force) })
	})
	if err != nil {
		return fmt.Errorf("break the hold of node %s on directory %q of pool %s: %w", node, directory.Subdir, directory.Pool.Name, err)
	}
	k.options.Log.WithField("pool", directory.Pool.Name).WithField("subdir", directory.Subdir).WithField("node", node).
		WithField("force", force).Warn("a hold was broken")
	return nil
}

func (k *Keeper) breakLocked(ctx context.Context, open folders, directory Directory, node string, force bool) error {
	record, err := open.read(directory)
	if errors.Is(err, ErrDamaged) && force {
		return setAside(open.own)
	}
	if err != nil {
		return err
	}
	now, err := k.look(ctx, directory.Pool, open.pool)
	if err != nil && !force {
		return err
	}
	kept := make([]Holder, 0, len(record.Holders))
	for _, holder := range record.Holders {
		if holder.Name != node {
			kept = append(kept, holder)
			continue
		}
		if !force && now.mayWrite(&holder) {
			return fmt.Errorf("%w: it has it since %s with the volumes %s. Stop the containers that use them on node %s and the hold goes by "+
				"itself; if you made sure that nothing there can write, use --force", ErrLive,
				holder.Since.UTC().Format("2006-01-02 15:04:05 UTC"), k.volumes(&holder), node)
		}
	}
	if len(kept) == len(record.Holders) {
		return fmt.Errorf("%w; \"docker homelab holder show %s %s\" says who has", ErrNone, directory.Pool.Name, directory.Subdir)
	}
	record.Holders = kept
	return open.write(&record)
}

func (k *Keeper) volumes(holder *Holder) string {
	names := make([]string, len(holder.Uses))
	for at, use := range holder.Uses {
		names[at] = k.options.VolumeName(use.Volume)
	}
	return strings.Join(names, ", ")
}

// setAside renames a damaged record, so that a person can still read it.
func setAside(own *durable.Dir) error {
	for number := 1; ; number++ {
		name := fmt.Sprintf("damaged-record.json.%d", number)
		has, err := own.Exists(name)
		if err != nil {
			return err
		}
		if !has {
			return own.Rename(recordFile, name)
		}
	}
}

// Show returns the record of one directory; one that nobody ever held has no holders.
func (k *Keeper) Show(ctx context.Context, directory Directory) (Record, error) {
	if err := directory.validate(); err != nil {
		return Record{}, err
	}
	var record Record
	err := k.do(ctx, directory, func() error {
		return k.inPool(directory.Pool, func(pool *durable.Dir) error {
			var err error
			record, err = show(pool, directory)
			return err
		})
	})
	if err != nil {
		return Record{}, err
	}
	return record, nil
}

// show reads a record without the lock: it is replaced as a whole.
func show(pool *durable.Dir, directory Directory) (Record, error) {
	own, err := pool.Folder(folder(directory.Subdir))
	if errors.Is(err, fs.ErrNotExist) {
		return Record{Version: Version, Subdir: directory.Subdir}, nil
	}
	if err != nil {
		return Record{}, err
	}
	record, err := folders{pool: pool, own: own}.read(directory)
	return record, errors.Join(err, own.Close())
}

// List returns the records of a pool that have holders, sorted by directory. Those that can be read are returned with the
// errors of the others.
func (k *Keeper) List(ctx context.Context, pool backend.Pool) ([]Record, error) {
	var records []Record
	var problems error
	err := k.options.Kernel.Do(ctx, "holders of "+pool.UUID, func() error {
		return k.inPool(pool, func(dir *durable.Dir) error {
			records, problems = list(dir, pool)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list the holds of pool %s: %w", pool.Name, err)
	}
	return records, problems
}

func list(dir *durable.Dir, pool backend.Pool) ([]Record, error) {
	entries, err := dir.List(backend.HoldersFolder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var records []Record
	var problems []error
	for _, entry := range entries {
		file := backend.HoldersFolder + "/" + entry.Name() + "/" + recordFile
		data, err := dir.Read(file, MaxRecord)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var record Record
		if err == nil {
			record, err = parseRecord("", data)
		}
		if err == nil && backend.DirectoryKey(record.Subdir) != entry.Name() {
			err = fmt.Errorf("%w: directory %q does not belong into %s", ErrDamaged, record.Subdir, entry.Name())
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s of pool %s: %w", file, pool.Name, err))
			continue
		}
		if len(record.Holders) > 0 {
			records = append(records, record)
		}
	}
	slices.SortFunc(records, func(a, b Record) int { return cmp.Compare(a.Subdir, b.Subdir) })
	return records, errors.Join(problems...)
}

// Forget removes the folder of a directory that nobody holds and that has no mark: its last volume was removed. A folder
// that is still needed is left, without an error.
func (k *Keeper) Forget(ctx context.Context, directory Directory) error {
	if err := directory.validate(); err != nil {
		return err
	}
	err := k.do(ctx, directory, func() error {
		return k.locked(ctx, directory, func(open folders) error { return forget(open, directory) })
	})
	if err != nil {
		return fmt.Errorf("forget the holder record of directory %q of pool %s: %w", directory.Subdir, directory.Pool.Name, err)
	}
	return nil
}

func forget(open folders, directory Directory) error {
	record, err := open.read(directory)
	if err != nil || len(record.Holders) > 0 {
		return err
	}
	entries, err := open.own.List(".")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if name := entry.Name(); name != recordFile && name != lockFile {
			return nil // a mark, or a damaged record that nobody has looked at
		}
	}
	for _, file := range []string{recordFile, lockFile} {
		if err := open.own.Unlink(file); err != nil {
			return err
		}
	}
	return open.pool.Remove(folder(directory.Subdir))
}
