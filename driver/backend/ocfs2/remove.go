package ocfs2

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/internal/directory"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// Remove moves the directory that the volume made to the pool's trash. One that it adopted stays. The mark goes last: until
// then the removal can be repeated. A pool that was formatted again, or is another one, has nothing of the volume: where its data
// is, if it is anywhere, it stays.
func (b *Backend) Remove(ctx context.Context, volume backend.Volume) error {
	if volume.Location.Whole {
		return nil
	}
	pool, err := b.open(ctx, volume, wanted{raise: true})
	if errors.Is(err, errOtherPool) {
		b.log.WithField("volume", volume.Name).WithError(err).Warn("a volume was removed, and nothing of its data was touched")
		return nil
	}
	if err != nil {
		return err
	}
	if err := b.free(ctx, pool, volume); err != nil {
		return err
	}
	err = b.work(ctx, pool, volume.Location.Subdir, func(root *os.Root) error { return b.remove(root, pool, volume) })
	if err != nil {
		return b.explain(pool, volume, err)
	}
	return nil
}

// free refuses to move a directory in which something is mounted.
func (b *Backend) free(ctx context.Context, pool proven, volume backend.Volume) error {
	table, err := b.kernel.Table(ctx, mounter.Host)
	if err != nil {
		return b.slow(pool.Pool, err)
	}
	full := path.Join(pool.Path, volume.Location.Subdir)
	for _, mount := range table {
		if directory.Beneath(mount.Target, full) {
			return &backend.Failure{Err: backend.ErrRefused, Text: fmt.Sprintf("volume %s is not removed: %s is mounted at %s in its directory; unmount it first (umount %s)",
				volume.Name, mount.Source, mount.Target, mount.Target)}
		}
	}
	return nil
}

func (b *Backend) remove(root *os.Root, pool proven, volume backend.Volume) error {
	location := volume.Location
	mark, marked, err := backend.ReadMark(pool.private(), location.Subdir, volume.ID, b.durable...)
	if err != nil {
		return err
	}
	if marked && !mark.Adopted && !location.Adopted {
		if err := b.discard(root, pool, volume); err != nil {
			return err
		}
	}
	return backend.RemoveMark(pool.private(), location.Subdir, volume.ID, b.durable...)
}

// discard moves the directory to the trash, unless an earlier call did.
func (b *Backend) discard(root *os.Root, pool proven, volume backend.Volume) error {
	exists, err := directory.Exists(root, volume.Location.Subdir)
	if err != nil || !exists {
		return err
	}
	known, err := entries(root, pool.private())
	if err != nil {
		return err
	}
	mine := b.newEntry(volume)
	if i := slices.IndexFunc(known, func(e entry) bool { return e.VolumeID == volume.ID }); i >= 0 {
		if mine = known[i]; mine.data || mine.doomed {
			return nil // what is there now came after the move
		}
	}
	others, err := backend.OtherMarks(pool.private(), volume.Location.Subdir, volume.ID, b.durable...)
	if err != nil {
		return err
	}
	if len(others) > 0 {
		return &backend.Failure{Err: backend.ErrRefused, Text: fmt.Sprintf("volume %s is not removed: its directory %s is also the one of the volume(s) with the ID %s; remove those first",
			volume.Name, path.Join(pool.Path, volume.Location.Subdir), strings.Join(others, ", "))}
	}
	if slices.ContainsFunc(known, func(e entry) bool { return e.ID == mine.ID && e.VolumeID != volume.ID }) {
		mine.ID += "-" + volume.ID[:8] // two of one name within a second
	}
	return b.discardInto(root, pool.private(), volume, mine)
}

// discardInto moves the directory into an entry that is new, or that a crash has left empty. The mark is read again before that: this
// thread may have stood still on a pool that hung, while another node ended the removal, of which the mark goes last, and made another
// volume of the directory's name.
func (b *Backend) discardInto(root *os.Root, private string, volume backend.Volume, mine entry) error {
	if err := b.write(private, mine); err != nil {
		return err
	}
	_, marked, err := backend.ReadMark(private, volume.Location.Subdir, volume.ID, b.durable...)
	if err != nil || !marked {
		return err
	}
	return b.move(root, volume.Location.Subdir, dataPath(mine.ID))
}
