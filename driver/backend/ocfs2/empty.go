package ocfs2

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/internal/directory"
	"github.com/homelab-storage/homelab-storage/internal/several"
)

// TrashEmpty deletes an entry, or, when id is "", all that were removed before a time, and says how many. It stops at the
// context's end and can be repeated.
func (b *Backend) TrashEmpty(ctx context.Context, name, id string, before time.Time) (int, error) {
	if id != "" {
		if err := checkEntryID(id); err != nil {
			return 0, err
		}
	}
	pool, err := b.trashPool(ctx, name)
	if errors.Is(err, backend.ErrUnused) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	count := 0
	err = b.work(ctx, pool, "trash", func(root *os.Root) error {
		all, err := entries(root, pool.private())
		problems := several.Append(nil, list(err)...)
		for _, e := range all {
			if !e.due(id, before) {
				continue
			}
			if err := b.deleteEntry(ctx, root, e.ID); err != nil {
				problems = several.Append(problems, err)
				continue
			}
			count++
		}
		return problems.ErrorOrNil()
	})
	if err != nil {
		return 0, b.slow(pool.Pool, err)
	}
	return count, nil
}

// due says whether an entry is to be deleted: the one that is asked for, or one that is old enough. What has begun is ended.
func (e *entry) due(id string, before time.Time) bool {
	if id != "" {
		return e.ID == id
	}
	return e.doomed || e.Removed.Before(before)
}

// deleteEntry deletes the data first: what is left of an interrupted delete is found again.
func (b *Backend) deleteEntry(ctx context.Context, root *os.Root, id string) error {
	if err := b.doom(root, id); err != nil {
		return err
	}
	folder, err := directory.Open(root, entryPath(id))
	if err != nil {
		return err
	}
	err = directory.Delete(ctx, folder, doomedName, b.durable...)
	if err = errors.Join(err, folder.Close()); err != nil {
		return err
	}
	trash, err := directory.Open(root, path.Dir(entryPath(id)))
	if err != nil {
		return err
	}
	return errors.Join(directory.Delete(ctx, trash, id, b.durable...), trash.Close())
}

// doom takes an entry's data out of the reach of a restore before the first file of it goes: a delete may take long and be cut off,
// and nodes do not wait for each other here. Whoever renames the data first, the delete or a restore on another node, has all of it.
func (b *Backend) doom(root *os.Root, id string) error {
	waiting, err := directory.Exists(root, dataPath(id))
	if err != nil || !waiting {
		return err
	}
	if err := b.move(root, dataPath(id), doomedPath(id)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil // it was restored just now
}
