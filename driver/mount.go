package driver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// Mount proves a volume's storage, takes the hold on its directory, and binds it at its target, which is returned. It counts
// one use of the caller's id. Whatever fails, the steps before it are undone.
func (d *Driver) Mount(ctx context.Context, name, id string, engine Engine) (target string, err error) {
	ctx, cancel := working(ctx)
	defer cancel()
	unlock, err := d.locks.Lock(ctx, name)
	if err != nil {
		return "", fmt.Errorf("volume %q: another call for it is still going on: %w", name, err)
	}
	defer unlock()
	defer d.explain(name, &err)
	record, shelf, ok := d.records.get(name)
	switch {
	case !ok || !visible(record):
		return "", ErrNotFound
	case d.leaving.Load():
		return "", errLeaving
	case record.State == catalog.Removing:
		return "", errors.New("it is being removed; when the removal does not end by itself, `docker volume rm` it again")
	}
	err = d.mount(ctx, record, shelf, id, engine)
	d.failures.note(record.Name, err)
	if err != nil {
		return "", err
	}
	d.guard.Mounted(name)
	return d.target(name), nil
}

func (d *Driver) mount(ctx context.Context, record catalog.Record, shelf *catalog.Catalog, id string, engine Engine) (err error) {
	storage, err := d.backendOf(record)
	if err != nil {
		return err
	}
	staged, err := d.stage(ctx, storage, record)
	if err != nil {
		return &stagingError{err}
	}
	if err := d.admit(ctx, record, staged, id); err != nil {
		return err
	}
	d.releases.cancel(record.ID)
	var steps undo
	defer steps.fail(ctx, &err)
	inUse := d.inUse(record.Name)
	if staged.Pool != nil && !record.Location.Whole {
		if err := d.join(ctx, record, staged); err != nil {
			return err
		}
		if !inUse {
			steps.add(func(ctx context.Context) error {
				d.releaseLater(ctx, record, 0)
				return nil
			})
		}
	}
	if !inUse {
		if err := d.remains(ctx, record, shelf); err != nil {
			return err
		}
	}
	if err := d.attach(ctx, record.Name, staged); err != nil {
		return err
	}
	if !inUse {
		steps.add(func(ctx context.Context) error { return d.unmountUnused(ctx, record.Name) })
	}
	_, err = d.uses.Add(record.Name, record.ID, id, engine)
	return err
}

// remains asks the catalog whether a volume that nothing here uses is still there.
func (d *Driver) remains(ctx context.Context, record catalog.Record, shelf *catalog.Catalog) error {
	same, err := d.current(ctx, record, shelf)
	if err == nil && !same {
		err = fmt.Errorf("it was removed meanwhile: %w", ErrNotFound)
	}
	return err
}

func (d *Driver) inUse(name string) bool {
	volume, ok := d.uses.Of(name)
	return ok && len(volume.Uses) > 0
}

// UnseenRepair is what to do when the engine never sees what the plugin mounts.
const UnseenRepair = "see that neither docker.service nor containerd.service sets MountFlags= or PrivateMounts=, and restart Docker"

// attach binds what was staged onto the volume's target. When the engine does not see that, nothing is mounted.
func (d *Driver) attach(ctx context.Context, name string, staged backend.Staged) error {
	err := d.bind(ctx, name, staged)
	if !errors.Is(err, mounter.ErrUnseen) {
		return err
	}
	repair, anew := UnseenRepair, false
	if d.options.Unseen != nil {
		repair = "the engine took the folder away that it shares with the plugin, as happens when it was killed and starts again. The plugin starts anew by itself now; try again in half a minute"
		never := d.options.Unseen()
		if anew = never == nil; !anew {
			repair = never.Error()
		}
	}
	// What only a person can repair has no container started again and again.
	return &backend.Failure{Away: anew, Err: err, Text: "the Docker engine does not see what the plugin mounts, and the container would write to the root disk of this node: " + repair}
}

func (d *Driver) bind(ctx context.Context, name string, staged backend.Staged) error {
	if staged.Tmpfs != nil {
		spec := *staged.Tmpfs
		spec.Target = d.target(name)
		if err := d.options.Mounter.MountTmpfs(ctx, spec); !errors.Is(err, syscall.EEXIST) {
			return err
		}
		return nil // it is there already
	}
	bind := mounter.Bind{
		Base: staged.Base, Device: staged.Device, Subdir: staged.Subdir, Target: d.target(name), ReadOnly: staged.ReadOnly, Mask: staged.Mask,
	}
	if err := d.displace(ctx, name, staged); err != nil {
		return err
	}
	err := d.silent(name, staged, d.options.Mounter.Bind(ctx, bind))
	if staged.Replaces && (errors.Is(err, syscall.EEXIST) || errors.Is(err, syscall.ESTALE)) {
		if err := d.options.Mounter.Unmount(ctx, bind.Target); err != nil {
			return err
		}
		err = d.silent(name, staged, d.options.Mounter.Bind(ctx, bind))
	}
	if err == nil && staged.Replaces {
		d.bases.Store(name, staged.Base)
	}
	return err
}

// silent says what it means that the kernel does not answer for storage that was proven a moment ago, and that it may come back.
func (d *Driver) silent(name string, staged backend.Staged, err error) error {
	stuck, ok := errors.AsType[*mounter.Error](err)
	if !ok || staged.Pool != nil || !errors.Is(err, mounter.ErrStuck) && !errors.Is(err, mounter.ErrBusy) {
		return err
	}
	record, _, _ := d.records.get(name)
	return &backend.Failure{Away: true, Err: err, Text: fmt.Sprintf("%s has not answered since %s: its server is away or hangs; the volume works again by itself when it is back",
		cmp.Or(record.Location.Device, "its storage"), stuck.Since.UTC().Format(time.RFC3339))}
}

// displace takes away what an earlier Mount bound at a volume's target, when its storage has been replaced since. The mount table
// tells: asking the old storage may hang, and a stale directory cannot be compared with anything. It is long on a node with many volumes,
// and not read when this process bound the target from the same mount.
func (d *Driver) displace(ctx context.Context, name string, staged backend.Staged) error {
	if !staged.Replaces || !d.inUse(name) {
		return nil
	}
	if last, known := d.bases.Load(name); known && last == staged.Base {
		return nil
	}
	table, err := d.options.Mounter.Table(ctx, mounter.Plugin)
	if err != nil {
		return fmt.Errorf("reading the mount table: %w", err)
	}
	devices := map[string]string{}
	for _, line := range table {
		devices[line.Target] = line.Device
	}
	old, bound := devices[d.target(name)]
	if !bound || old == devices[staged.Base.Path] {
		return nil
	}
	d.log.WithField("volume", name).Info("the storage of a volume in use was replaced; new containers get the new one")
	return d.options.Mounter.Unmount(ctx, d.target(name))
}

func (d *Driver) isMounted(ctx context.Context, name string) (bool, error) {
	table, err := d.options.Mounter.Table(ctx, mounter.Plugin)
	if err != nil {
		return false, fmt.Errorf("reading the mount table: %w", err)
	}
	for _, line := range table {
		if line.Target == d.target(name) {
			return true, nil
		}
	}
	return false, nil
}
