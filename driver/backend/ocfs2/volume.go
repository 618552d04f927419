package ocfs2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/internal/directory"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// errMark says that a directory has no mark of the volume.
var errMark = errors.New("the directory has no mark of the volume")

// errReplaced says that an empty directory took the place of the volume's.
var errReplaced = errors.New("the directory is another one, and empty")

// open proves the pool of a recorded volume. Records are hostile input: what they say is checked again.
func (b *Backend) open(ctx context.Context, volume backend.Volume, want wanted) (proven, error) {
	location := volume.Location
	first, _, _ := strings.Cut(location.Subdir, "/")
	switch {
	case !directory.IsID(volume.ID):
		return proven{}, fmt.Errorf("the volume's record is not usable: the ID %q is not 32 hexadecimal digits", volume.ID)
	case !directory.IsClean(location.Subdir), first == backend.PrivateFolder, (location.Subdir == "") != location.Whole:
		return proven{}, fmt.Errorf("the volume's record is not usable: subdir=%q is no volume's directory", location.Subdir)
	}
	pool, err := b.find(location.Pool, location.Standalone)
	if err != nil {
		return proven{}, err
	}
	want.uuid = location.PoolUUID
	if refused := b.refusal(pool.Name); refused.set() {
		return proven{}, refused.failure(pool)
	}
	return b.prove(ctx, pool, want)
}

// guarded does file work on a proven pool, on a thread of its own.
func (b *Backend) guarded(ctx context.Context, pool proven, key string, work func() error) error {
	return b.kernel.Do(ctx, "pool "+pool.Name+" "+key, work)
}

// work is guarded with the pool's root open.
func (b *Backend) work(ctx context.Context, pool proven, key string, work func(root *os.Root) error) error {
	return b.guarded(ctx, pool, key, func() error {
		root, err := os.OpenRoot(pool.root)
		if err != nil {
			return err
		}
		return errors.Join(work(root), root.Close())
	})
}

// Create proves the pool, marks the directory as the volume's, and makes it unless it is there. Whether an interrupted Create
// made it is told by the mark, which is safer than the caller's guess.
func (b *Backend) Create(ctx context.Context, volume backend.Volume, _ bool) (backend.Location, error) {
	pool, err := b.open(ctx, volume, wanted{raise: true, mark: true})
	if err != nil {
		return backend.Location{}, err
	}
	location := volume.Location
	location.PoolUUID = pool.uuid
	if location.Whole {
		location.Adopted = true
		return location, nil
	}
	adopted := false
	err = b.work(ctx, pool, location.Subdir, func(root *os.Root) (err error) {
		adopted, err = b.create(root, pool.private(), volume)
		return err
	})
	if err != nil {
		return backend.Location{}, b.explain(pool, volume, err)
	}
	location.Adopted = adopted
	return location, nil
}

// create writes the mark before the directory: after a crash it tells a directory that we made from one that was there.
func (b *Backend) create(root *os.Root, private string, volume backend.Volume) (adopted bool, err error) {
	location := volume.Location
	exists, err := directory.Exists(root, location.Subdir)
	if err != nil {
		return false, err
	}
	mark, marked, err := backend.ReadMark(private, location.Subdir, volume.ID, b.durable...)
	if err != nil {
		return false, err
	}
	if !marked {
		mark = backend.Mark{Volume: volume.ID, Subdir: location.Subdir, Adopted: exists}
	}
	switch {
	case exists && marked && !mark.Adopted:
		err = b.finish(root, location)
	case !exists:
		mark.Adopted = false
		if err = backend.WriteMark(private, mark, b.durable...); err == nil {
			err = directory.Make(root, location.Subdir, owner(location), b.durable...)
		}
	}
	if err != nil {
		return false, err
	}
	return mark.Adopted, b.recognise(root, private, mark)
}

// recognise keeps the identity of a volume's directory in its mark, so that another one in its place is noticed.
func (b *Backend) recognise(root *os.Root, private string, mark backend.Mark) error {
	pool, err := durable.Open(root.Name())
	if err != nil {
		return err
	}
	defer func() { _ = pool.Close() }()
	dir, err := openDirectory(pool, mark.Subdir)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	if mark.Identity, err = dir.Identity(); err != nil {
		return err
	}
	return backend.WriteMark(private, mark, b.durable...)
}

// finish gives a directory of an interrupted Create its owner. It is not repeated for one that was complete, or has been
// filled since: what a container or a person changed stays.
func (b *Backend) finish(root *os.Root, location backend.Location) error {
	dir, err := directory.Open(root, location.Subdir)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	info, err := dir.Stat(".")
	if err != nil {
		return err
	}
	entries, err := fs.ReadDir(dir.FS(), ".")
	if err != nil || len(entries) > 0 || info.Mode().Perm() != 0o700 {
		return err
	}
	return directory.Make(root, location.Subdir, owner(location), b.durable...)
}

func owner(location backend.Location) directory.Owner {
	return directory.Owner{UID: location.UID, GID: location.GID, Mode: location.Mode}
}

// Stage proves the pool, the directory and its mark.
func (b *Backend) Stage(ctx context.Context, volume backend.Volume) (backend.Staged, error) {
	pool, err := b.open(ctx, volume, wanted{raise: true})
	if err != nil {
		return backend.Staged{}, err
	}
	public := pool.public()
	staged := backend.Staged{
		Base: mounter.Place{Side: mounter.Host, Path: pool.Path}, Device: pool.device, Subdir: volume.Location.Subdir,
		ReadOnly: volume.Location.ReadOnly, Pool: &public,
	}
	if volume.Location.Whole {
		staged.ReadOnly, staged.Mask = true, []string{backend.PrivateFolder}
		return staged, nil
	}
	err = b.guarded(ctx, pool, volume.Location.Subdir, func() error { return own(pool.root, volume) })
	if err != nil {
		return backend.Staged{}, b.explain(pool, volume, err)
	}
	return staged, nil
}

// own proves that a directory is the volume's: it is marked, and it is the one that was marked. One with data that took its place
// was put there by somebody, as from a backup; an empty one was not, and an application would begin anew in it.
func own(root string, volume backend.Volume) error {
	pool, err := durable.Open(root)
	if err != nil {
		return err
	}
	defer func() { _ = pool.Close() }()
	dir, err := openDirectory(pool, volume.Location.Subdir)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	private, err := openDirectory(pool, backend.PrivateFolder)
	if err != nil {
		return err
	}
	defer func() { _ = private.Close() }()
	mark, has, err := backend.MarkIn(private, volume.Location.Subdir, volume.ID)
	switch {
	case err != nil:
		return err
	case !has:
		return errMark
	case mark.Identity == "":
		return nil
	}
	identity, err := dir.Identity()
	if err != nil || identity == mark.Identity {
		return err
	}
	empty, err := dir.Empty()
	if empty {
		return errReplaced
	}
	return err
}

// openDirectory opens a directory of the pool as Bind does, in one system call. When that fails, the walk from one folder to the next
// says which of them is in the way.
func openDirectory(pool *durable.Dir, subdir string) (*durable.Dir, error) {
	dir, failed := pool.Folder(subdir)
	if failed == nil {
		return dir, nil
	}
	root, err := os.OpenRoot(pool.Path())
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	if _, err := directory.Exists(root, subdir); err != nil {
		return nil, err
	}
	return nil, failed
}

// isEmpty looks at one entry of a directory that may be large.
func isEmpty(dir *os.Root) (bool, error) {
	file, err := dir.Open(".")
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }()
	_, err = file.ReadDir(1)
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	return false, err
}

// explain says what is wrong with a volume's directory.
func (b *Backend) explain(pool proven, volume backend.Volume, err error) error {
	full := path.Join(pool.Path, volume.Location.Subdir)
	var known *backend.Failure
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, errMark):
		return &backend.Failure{Err: err, Text: fmt.Sprintf(
			"the directory %s on pool %s is not marked as the one of volume %s: it was put there after the volume's own went away. If it is the right data, remove the volume (the directory stays) and create it again with subdir=%s",
			full, pool.Name, volume.Name, volume.Location.Subdir)}
	case errors.Is(err, errReplaced):
		return &backend.Failure{Err: err, Text: fmt.Sprintf(
			"the directory %s of volume %s on pool %s was replaced by an empty one: bring its data back into it (docker homelab trash ls, or a backup); if an empty volume is meant, remove the volume (docker volume rm %s) and create it again",
			full, volume.Name, pool.Name, volume.Name)}
	case errors.Is(err, fs.ErrNotExist):
		return &backend.Failure{Err: err, Text: fmt.Sprintf(
			"the directory %s of volume %s does not exist on pool %s: bring it back (docker homelab trash ls, or a backup), or remove the volume (docker volume rm %s) and create it again",
			full, volume.Name, pool.Name, volume.Name)}
	case errors.Is(err, directory.ErrLink), errors.Is(err, directory.ErrNotDirectory), errors.Is(err, directory.ErrSwapped), errors.Is(err, directory.ErrOtherFilesystem):
		return &backend.Failure{Err: err, Text: fmt.Sprintf(
			"volume %s cannot use %s on pool %s: %v; every part of a volume's directory must be a real directory of the pool", volume.Name, full, pool.Name, err)}
	case errors.Is(err, mounter.ErrStuck), errors.Is(err, mounter.ErrBusy):
		return b.slow(pool.Pool, err)
	}
	return &backend.Failure{Err: err, Text: fmt.Sprintf("pool %s, directory %s of volume %s: %v", pool.Name, full, volume.Name, err)}
}
