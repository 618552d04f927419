package ocfs2

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/internal/directory"
	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// TrashRestore moves an entry's data to the directory of a volume that was just created and holds nothing. It is repeated
// after a crash: data that has arrived is success.
func (b *Backend) TrashRestore(ctx context.Context, id string, volume backend.Volume) error {
	if err := checkEntryID(id); err != nil {
		return err
	}
	pool, err := b.open(ctx, volume, wanted{raise: true})
	if err != nil {
		return err
	}
	err = b.work(ctx, pool, "trash", func(root *os.Root) error {
		if err := b.restore(ctx, root, pool, id, volume); err != nil {
			return err
		}
		mark, has, err := backend.ReadMark(pool.private(), volume.Location.Subdir, volume.ID, b.durable...)
		if err != nil || !has {
			return err
		}
		return b.recognise(root, pool.private(), mark) // the restored directory took the place of the one just made
	})
	if err != nil {
		return b.explain(pool, volume, err)
	}
	return nil
}

// restore moves the data unless it is there.
func (b *Backend) restore(ctx context.Context, root *os.Root, pool proven, id string, volume backend.Volume) error {
	target, err := directory.Open(root, volume.Location.Subdir)
	if err != nil {
		return err
	}
	empty, err := isEmpty(target)
	if err = errors.Join(err, target.Close()); err != nil {
		return err
	}
	waiting, err := directory.Exists(root, dataPath(id))
	switch {
	case err != nil:
		return err
	case !waiting && empty:
		return noEntry(id)
	case waiting && !empty:
		return &backend.Failure{Err: backend.ErrRefused, Text: fmt.Sprintf("the directory %q is not empty, so that the entry %q of the trash is not moved there; name another subdir", volume.Location.Subdir, id)}
	case waiting:
		if err := b.exchange(root, pool, id, volume); err != nil {
			return err
		}
	}
	trash, err := directory.Open(root, path.Dir(entryPath(id)))
	if err != nil {
		return err
	}
	return errors.Join(directory.Delete(ctx, trash, id, b.durable...), trash.Close())
}

// exchange puts the data in the place of the volume's empty directory. Not of one that another volume has too: its containers
// would go on in a directory that is no more, and lose what they write there.
func (b *Backend) exchange(root *os.Root, pool proven, id string, volume backend.Volume) error {
	subdir := volume.Location.Subdir
	others, err := backend.OtherMarks(pool.private(), subdir, volume.ID, b.durable...)
	if err != nil {
		return err
	}
	if len(others) > 0 {
		return &backend.Failure{Err: backend.ErrRefused, Text: fmt.Sprintf("the directory %q is also the one of the volume(s) with the ID %s, so that the entry %q of the trash is not moved there; name another subdir",
			subdir, strings.Join(others, ", "), id)}
	}
	// rmdir: it fails when something has come into it. A crash here leaves no directory, and Create makes it again.
	if err := durable.Ask(durable.OpRemove, subdir, b.durable...); err != nil {
		return err
	}
	if err := root.Remove(subdir); err != nil {
		return err
	}
	if err := b.move(root, dataPath(id), subdir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return noEntry(id) // another node took it out, or began to delete it, just now
}

func noEntry(id string) error {
	return &backend.Failure{Err: backend.ErrRefused, Text: fmt.Sprintf("there is no entry %q in the trash of the pool; `docker homelab trash ls` lists them", id)}
}
