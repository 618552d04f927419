package driver

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/holder"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// sweep brings mounts, uses, holds and records in line: what a forced disable took away is mounted again, what nobody uses any
// more is unmounted and its hold given back, what was interrupted is completed, and what other nodes removed is deleted here. What
// runs is left alone.
func (d *Driver) sweep(ctx context.Context) {
	d.rebinds.begin(ctx, d.rebind, d.byStorage(d.unbound(ctx)))
	d.sweeps.begin(ctx, d.sweepTarget, d.byStorage(d.touched(ctx)))
	pools := d.poolNames()
	d.strays.Only(pools)
	d.resumes.begin(ctx, d.resume, alone(pools))
	d.completions.begin(ctx, d.complete, d.byStorage(d.unfinished.all()))
	d.disposals.begin(ctx, d.dispose, alone(d.disposers()))
}

// unbound names the volumes that are in use and not mounted: a forced disable of the plugin takes the targets away, while
// their containers keep their own view (FACTS 1). Put back, the mount table tells again who uses what. One that its server refused is
// left alone for a while.
func (d *Driver) unbound(ctx context.Context) []string {
	var names []string
	for _, volume := range d.uses.All() {
		if d.failures.pausing(volume.Name) {
			continue
		}
		if mounted, err := d.isMounted(ctx, volume.Name); err == nil && !mounted && len(volume.Uses) > 0 {
			names = append(names, volume.Name)
		}
	}
	return names
}

func (d *Driver) rebind(ctx context.Context, name string) error {
	limited, cancel := context.WithTimeout(ctx, turnLimit)
	defer cancel()
	err := d.rebindVolume(limited, name)
	if err != nil {
		d.log.WithError(err).WithField("volume", name).Warn("a volume that containers use is not mounted again yet")
	}
	return err
}

func (d *Driver) rebindVolume(ctx context.Context, name string) error {
	unlock, err := d.locks.Lock(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	record, _, ok := d.records.get(name)
	if !ok || record.Location.Memory || !d.inUse(name) {
		return nil
	}
	storage, err := d.backendOf(record)
	if err != nil {
		return err
	}
	staged, err := storage.Stage(ctx, volumeOf(record))
	if refusesShare(record, err) {
		d.failures.spare(name, refusedRebind)
	}
	if err != nil {
		return err
	}
	return d.attach(ctx, name, staged)
}

// touched names the volumes that are mounted here or have uses.
func (d *Driver) touched(ctx context.Context) []string {
	names := map[string]bool{}
	for _, volume := range d.uses.All() {
		names[volume.Name] = true
	}
	table, err := d.options.Mounter.Table(ctx, mounter.Plugin)
	if err != nil {
		d.log.WithError(err).Error("the mount table could not be read")
	}
	for _, line := range table {
		if folder, name := path.Split(line.Target); path.Clean(folder) == d.options.MountRoot && !strings.HasPrefix(name, ".") {
			names[name] = true
		}
	}
	return slices.Collect(maps.Keys(names))
}

func (d *Driver) sweepTarget(ctx context.Context, name string) error {
	limited, cancel := context.WithTimeout(ctx, turnLimit)
	defer cancel()
	err := d.sweepVolume(limited, name)
	if err != nil && ctx.Err() == nil {
		d.log.WithError(err).WithField("volume", name).Warn("a volume that nobody uses is not unmounted yet")
	}
	return err
}

// resume looks after the holds of a pool that can be proven: those that a crash left without a use, and those whose release it
// interrupted.
func (d *Driver) resume(ctx context.Context, name string) error {
	limited, cancel := context.WithTimeout(ctx, turnLimit)
	defer cancel()
	pool, err := d.options.Pools.Check(limited, name)
	if err == nil {
		d.audit(limited, pool)
		d.resumePool(limited, pool)
		d.stray(limited, pool)
	}
	return err
}

// resumePool gives back the holds that are due. The pool is written out first, as before every release.
func (d *Driver) resumePool(ctx context.Context, pool backend.Pool) {
	judge := func(id string) holder.Verdict { return d.judgeFree(ctx, id) }
	due := func(id string) bool { return judge(id) != holder.Later }
	if !slices.ContainsFunc(d.holders.Pending()[pool.UUID], due) {
		return
	}
	log := d.log.WithField("pool", pool.Name)
	if err := d.options.Mounter.Sync(ctx, mounter.Place{Side: mounter.Host, Path: pool.Path}); err != nil {
		log.WithError(err).Warn("pending releases wait for the pool to be written out")
		return
	}
	released, err := d.holders.Resume(ctx, pool, judge)
	if err != nil {
		log.WithError(err).Warn("pending releases are not done yet")
	}
	for _, id := range released {
		log.WithField("id", id).Info("a pending release was done")
	}
}

// judgeFree is judge for a volume that nobody is at work with. One that is just being mounted or unmounted is looked at later.
func (d *Driver) judgeFree(ctx context.Context, id string) holder.Verdict {
	if record, ok := d.records.byID(id); ok {
		unlock, free := d.locks.TryLock(record.Name)
		if !free {
			return holder.Later
		}
		defer unlock()
	}
	verdict, err := d.judge(ctx, id)
	if err != nil {
		d.log.WithError(err).WithField("id", id).Warn("whether a hold is to be given back is unknown; it is looked at later")
		return holder.Later
	}
	return verdict
}

// judge says what becomes of a volume's pending release. One that this process has under way is left to it: it may linger
// after a mount of the engine's copy-up, so that no other node comes in between (FACTS 1). One of a volume that is mounted is
// left to the sweep, which unmounts it when nothing uses it. Its caller has the volume's turn.
func (d *Driver) judge(ctx context.Context, id string) (holder.Verdict, error) {
	switch {
	case d.usedByID(id):
		return holder.Keep, nil
	case d.releases.pending(id):
		return holder.Later, nil
	}
	if record, ok := d.records.byID(id); ok {
		if mounted, err := d.isMounted(ctx, record.Name); err != nil || mounted {
			return holder.Later, err
		}
	}
	return holder.Give, nil
}

func (d *Driver) usedByID(id string) bool {
	for _, volume := range d.uses.All() {
		if volume.ID == id && len(volume.Uses) > 0 {
			return true
		}
	}
	return false
}

// interrupted names the volumes that a crash left half removed or, of this node's, half made. What other nodes are making
// now is theirs.
func (d *Driver) interrupted() []string {
	var names []string
	node := d.options.Settings.Current().Node
	for _, record := range d.records.list() {
		if record.State == catalog.Removing || record.State == catalog.Creating && record.CreatedBy == node {
			names = append(names, record.Name)
		}
	}
	return names
}

// complete ends a call that a crash, or a storage that went away, interrupted: a half removed volume is removed, a half made
// one is made.
func (d *Driver) complete(ctx context.Context, name string) error {
	limited, cancel := context.WithTimeout(ctx, turnLimit)
	defer cancel()
	err := d.completeVolume(limited, name)
	if err != nil {
		d.log.WithError(err).WithField("volume", name).Warn("an interrupted call is not completed yet")
		return err
	}
	d.unfinished.remove(name)
	return nil
}

func (d *Driver) completeVolume(ctx context.Context, name string) error {
	unlock, err := d.locks.Lock(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.withdrawLeft(ctx, name); err != nil {
		return err
	}
	record, shelf, err := d.intent(ctx, name)
	if err != nil || shelf == nil {
		return err
	}
	if record.State == catalog.Removing {
		return d.completeRemove(ctx, record, shelf)
	}
	pool, err := d.attachFor(ctx, shelf)
	if err != nil {
		return err
	}
	storage, err := d.backendOf(record)
	if err != nil {
		return err
	}
	location, err := record.Location, d.apart(record)
	given := err != nil
	if !given {
		location, err = storage.Create(ctx, volumeOf(record), true)
		given = refusesShare(record, err)
	}
	if err == nil {
		record.Location = location
		err = d.fill(ctx, record)
		given = errors.Is(err, backend.ErrRefused) // as of an entry of the trash that is gone by now
	}
	switch {
	case given: // nobody was told that it is there
		d.log.WithError(err).WithField("volume", name).Warn("a volume that was not completely made is given up")
		return d.giveWay(ctx, record, shelf, storage, pool)
	case err != nil:
		return err
	}
	return d.ready(ctx, draft{record: record, shelf: shelf})
}

// intent is the record of a volume that is to be made or removed; without a catalog there is none. One that could not be written may be on
// record all the same, and is looked for there.
func (d *Driver) intent(ctx context.Context, name string) (catalog.Record, *catalog.Catalog, error) {
	record, shelf, ok := d.records.get(name)
	if ok && record.State == catalog.Ready {
		err := shelf.Refresh(ctx)
		if err != nil && !errors.Is(err, catalog.ErrDetached) && !errors.Is(err, catalog.ErrFrozen) {
			return record, nil, err // a catalog that is attached again is looked through for intents
		}
		record, shelf, ok = d.records.get(name)
	}
	if !ok || record.State == catalog.Ready {
		return record, nil, nil
	}
	return record, shelf, nil
}

// refusesShare says that a volume's server is there and does not let it be used, or that its password is not stored: trying again helps
// nobody, and servers lock out who logs in wrongly again and again.
func refusesShare(record catalog.Record, err error) bool {
	return err != nil && record.Location.Kind == backend.CIFS && !errors.Is(err, backend.ErrUnavailable)
}
