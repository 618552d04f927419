package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/internal/directory"
	"github.com/homelab-storage/homelab-storage/driver/mountoption"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/internal/several"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// DefaultSize is the size of a temp volume that names none, in bytes: Docker's own default for /dev/shm, as much as a node
// may lose to a program gone wild.
const DefaultSize = 64 << 20

// unfinished ends the name of a folder that is being made.
const unfinished = ".new"

// Backend keeps volumes on this node.
type Backend struct {
	kernel mounter.Mounter
	folder string // of the host
	// durable are for tests: they let durable steps fail.
	durable []durable.Option
}

var _ interface {
	backend.Backend
	backend.Disposer
} = (*Backend)(nil)

// New makes the backend; stateDir is a path of the host. It touches nothing. The options are for tests that inject faults.
func New(kernel mounter.Mounter, stateDir string, given ...durable.Option) *Backend {
	return &Backend{kernel: kernel, folder: path.Join(stateDir, "local", "volumes"), durable: given}
}

// Kind is backend.Local.
func (b *Backend) Kind() string { return backend.Local }

// Plan refuses whatever belongs to other kinds of storage.
func (b *Backend) Plan(_ context.Context, request backend.Request) (backend.Plan, error) {
	var problems *multierror.Error
	location := request.Location
	for _, given := range []struct{ name, value string }{
		{"device", request.Device},
		{"share", request.Share},
		{"pool", location.Pool},
		{"subdir", location.Subdir},
		{"credentials", location.Credentials},
		{"username", request.Username},
		{"o", without(request.Options)},
	} {
		if given.value != "" {
			problems = several.Append(problems, fmt.Errorf("option %s=%q has no meaning for a volume on the node (classes cache and temp); leave it out or choose another class", given.name, given.value))
		}
	}
	if location.Size != 0 && !location.Memory {
		problems = several.Append(problems, errors.New("option size belongs to class temp: a cache volume has the size of the node's disk"))
	}
	if location.Memory && location.Size == 0 {
		location.Size = DefaultSize
	}
	location.Kind = backend.Local
	return backend.Plan{Location: location}, problems.ErrorOrNil()
}

// without gives the options of o= that mean something, for a person: with no password. "rw" is what everybody gets.
func without(options string) string {
	if options == "rw" {
		return ""
	}
	return mountoption.Public(options)
}

// Create makes nothing: each node makes its own folder on first use.
func (b *Backend) Create(_ context.Context, volume backend.Volume, _ bool) (backend.Location, error) {
	return volume.Location, b.check(volume)
}

func (b *Backend) check(volume backend.Volume) error {
	if !directory.IsID(volume.ID) {
		return fmt.Errorf("the volume's record is not usable: the ID %q is not 32 hexadecimal digits", volume.ID)
	}
	return nil
}

// Stage gives the tmpfs to mount, or the folder, which is made when this node has none.
func (b *Backend) Stage(ctx context.Context, volume backend.Volume) (backend.Staged, error) {
	if err := b.check(volume); err != nil {
		return backend.Staged{}, err
	}
	location := volume.Location
	if location.Memory {
		return backend.Staged{ReadOnly: location.ReadOnly, Tmpfs: &mounter.Tmpfs{
			Size: max(location.Size, 0), UID: location.UID, GID: location.GID, Mode: location.Mode, ReadOnly: location.ReadOnly,
		}}, nil
	}
	err := b.kernel.Do(ctx, "local "+volume.ID, func() error { return b.make(volume) })
	if err != nil {
		return backend.Staged{}, b.explain("use", volume, err)
	}
	return backend.Staged{
		Base: mounter.Place{Side: mounter.Host, Path: b.folder}, Subdir: volume.ID, ReadOnly: location.ReadOnly,
	}, nil
}

// make makes the volume's folder unless it is there.
func (b *Backend) make(volume backend.Volume) error {
	folder := b.kernel.HostPath(b.folder)
	made, err := durable.Open(folder, append([]durable.Option{durable.MakeAll()}, b.durable...)...)
	if err != nil {
		return err
	}
	if err := made.Close(); err != nil {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if exists, err := directory.Exists(root, volume.ID); exists || err != nil {
		return err
	}
	location := volume.Location
	owner := directory.Owner{UID: location.UID, GID: location.GID, Mode: location.Mode}
	if err := directory.Make(root, volume.ID+unfinished, owner, b.durable...); err != nil {
		return err
	}
	if err := durable.Ask(durable.OpRename, volume.ID, b.durable...); err != nil {
		return err
	}
	if err := root.Rename(volume.ID+unfinished, volume.ID); err != nil {
		return err
	}
	return directory.Sync(root, b.durable...)
}

// Kept lists the IDs of the volumes with a folder on this node.
func (b *Backend) Kept(ctx context.Context) ([]string, error) {
	var ids []string
	err := b.kernel.Do(ctx, "local", func() error {
		entries, err := os.ReadDir(b.kernel.HostPath(b.folder))
		for _, entry := range entries {
			if id := strings.TrimSuffix(entry.Name(), unfinished); directory.IsID(id) && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the volumes of this node in %s: %w", b.folder, err)
	}
	return ids, nil
}

// Remove deletes this node's folder.
func (b *Backend) Remove(ctx context.Context, volume backend.Volume) error {
	if err := b.check(volume); err != nil {
		return err
	}
	for _, name := range []string{volume.ID, volume.ID + unfinished} {
		if err := b.free(ctx, volume, name); err != nil {
			return err
		}
		err := b.kernel.Do(ctx, "local "+volume.ID, func() error { return b.delete(ctx, name) })
		if err != nil {
			return b.explain("delete", volume, err)
		}
	}
	return nil
}

// free refuses to delete a folder in which something is mounted: a bind mount of the same file system cannot be seen in the
// folder itself.
func (b *Backend) free(ctx context.Context, volume backend.Volume, name string) error {
	table, err := b.kernel.Table(ctx, mounter.Host)
	if err != nil {
		return fmt.Errorf("read the host's mount table: %w", err)
	}
	for _, mount := range table {
		if directory.Beneath(mount.Target, path.Join(b.folder, name)) {
			return &backend.Failure{Err: backend.ErrRefused, Text: fmt.Sprintf("volume %s is not deleted: %s is mounted at %s in its folder; unmount it first (umount %s)",
				volume.Name, mount.Source, mount.Target, mount.Target)}
		}
	}
	return nil
}

func (b *Backend) delete(ctx context.Context, name string) error {
	root, err := os.OpenRoot(b.kernel.HostPath(b.folder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(directory.Delete(ctx, root, name, b.durable...), root.Close())
}

func (b *Backend) explain(what string, volume backend.Volume, err error) error {
	text := fmt.Sprintf("cannot %s the folder %s of volume %s: %v", what, path.Join(b.folder, volume.ID), volume.Name, err)
	if errors.Is(err, mounter.ErrStuck) || errors.Is(err, mounter.ErrBusy) {
		return &backend.Failure{Away: true, Err: err, Text: text + "; this node's disk does not answer"}
	}
	return &backend.Failure{Err: err, Text: text}
}

// Status tells where the data is.
func (b *Backend) Status(volume backend.Volume) map[string]any {
	if volume.Location.Memory {
		return map[string]any{"memory_bytes": volume.Location.Size}
	}
	return map[string]any{"folder": path.Join(b.folder, volume.ID), "note": "each node has its own; deleted with the volume"}
}
