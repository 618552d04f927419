package driver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/class"
	"github.com/homelab-storage/homelab-storage/driver/holder"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// watchEvery is how often the holds of what is in use are looked at: a lost one is named within 10 s.
const watchEvery = 5 * time.Second

// watch looks whether this node still has what its containers use. A hold can be lost: an operator broke it by force, a pool
// was restored from a snapshot, or this machine stood still for so long that it was taken for dead.
func (d *Driver) watch(ctx context.Context) {
	var names, ids []string
	for _, volume := range d.uses.All() {
		if len(volume.Uses) > 0 {
			names, ids = append(names, volume.Name), append(ids, volume.ID)
		}
	}
	d.lost.Only(names)
	d.verdicts.only(ids)
	d.watches.begin(ctx, d.watchVolume, d.byStorage(names))
}

func (d *Driver) watchVolume(ctx context.Context, name string) error {
	limited, cancel := context.WithTimeout(ctx, turnLimit)
	defer cancel()
	record, _, ok := d.records.get(name)
	if !ok || record.Location.Kind != backend.OCFS2 || record.Location.Whole {
		return nil
	}
	pool, err := d.options.Pools.Check(limited, record.Location.Pool)
	if err != nil {
		return err // the pool's own state says so
	}
	directory := holder.Directory{Pool: pool, Subdir: record.Location.Subdir}
	held, err := d.holders.Show(limited, directory)
	if err != nil {
		return err
	}
	if mode, ours := d.ownMode(held, record.ID); ours && mode == holder.Exclusive {
		d.noteLost(name, nil)
		return nil
	}
	// Not while its pool is asked: an Unmount would wait for that.
	unlock, err := d.locks.Lock(limited, name)
	if err != nil {
		return err
	}
	defer unlock()
	if d.inUse(name) {
		d.noteLost(name, d.hold(limited, record, directory))
	}
	return nil
}

// hold puts right how this node holds a volume in use, or says why it cannot.
func (d *Driver) hold(ctx context.Context, record catalog.Record, directory holder.Directory) error {
	held, err := d.holders.Show(ctx, directory)
	if err != nil {
		return nil //nolint:nilerr // it was read a moment ago: the next turn reads it
	}
	if mode, ours := d.ownMode(held, record.ID); ours {
		return d.watchMode(ctx, record, directory, mode)
	}
	return d.retake(ctx, record, directory)
}

// ownMode is how this plugin holds a volume.
func (d *Driver) ownMode(held holder.Record, id string) (mode holder.Mode, ours bool) {
	for _, node := range held.Holders {
		for _, use := range node.Uses {
			if use.Volume == id && d.holders.Own(node) {
				return use.Mode, true
			}
		}
	}
	return "", false
}

// retake takes a hold again that is gone, unless another node has the directory by now.
func (d *Driver) retake(ctx context.Context, record catalog.Record, directory holder.Directory) error {
	wanted, err := d.verdict(ctx, record, d.stagedAt(record, directory.Pool))
	if err != nil {
		return nil //nolint:nilerr // the pool has just stopped answering, which is said elsewhere
	}
	_, err = d.holders.TryJoin(ctx, directory, wanted.mode, record.ID)
	var held *holder.HeldError
	switch {
	case errors.As(err, &held):
		return fmt.Errorf("containers of this node use it, but node %s has it, since %s: two nodes may be writing to it. Stop the containers "+
			"here (docker ps --filter volume=%s) or there, check the databases, and start them again",
			held.Holder.Name, held.Holder.Since.UTC().Format(time.RFC3339), record.Name)
	case err == nil:
		d.log.WithField("volume", record.Name).Warn("a hold that was gone was taken again: nobody else had the directory")
	}
	return nil
}

// watchMode makes a shared hold exclusive when a database has appeared in a volume that is shared until then (DESIGN D5).
func (d *Driver) watchMode(ctx context.Context, record catalog.Record, directory holder.Directory, mode holder.Mode) error {
	if mode != holder.Shared || class.Access(record.Access) != class.Guarded {
		return nil
	}
	wanted, err := d.lastVerdict(ctx, record, d.stagedAt(record, directory.Pool))
	if err != nil || wanted.mode == holder.Shared {
		return nil //nolint:nilerr // it is looked at again, and before the next Mount
	}
	err = d.holders.Switch(ctx, directory, wanted.mode, record.ID)
	held, ok := errors.AsType[*holder.HeldError](err)
	switch {
	case ok && wanted.unseen:
		return fmt.Errorf("it is %s, and node %s uses it too, since %s: rows of one would be lost. A volume that only one node shall ever use is "+
			"class=db; one without a database is made with access=shared", unseenText, held.Holder.Name, held.Holder.Since.UTC().Format(time.RFC3339))
	case ok:
		return fmt.Errorf("a database has appeared in it, and node %s uses it too, since %s: rows will be lost. Stop the containers that use it on "+
			"all nodes but one; a volume that only one node shall ever use is class=db", held.Holder.Name, held.Holder.Since.UTC().Format(time.RFC3339))
	case err == nil && wanted.unseen:
		d.log.WithField("volume", record.Name).Info("it is " + unseenText + ": from now on one node at a time may use the volume")
	case err == nil:
		d.log.WithField("volume", record.Name).Info("a database has appeared: from now on one node at a time may use the volume")
	}
	return nil
}

// stagedAt is where a volume's directory is on a pool that was proven.
func (d *Driver) stagedAt(record catalog.Record, pool backend.Pool) backend.Staged {
	return backend.Staged{Base: mounter.Place{Side: mounter.Host, Path: pool.Path}, Subdir: record.Location.Subdir, Pool: &pool}
}

// noteLost tells a new loss once.
func (d *Driver) noteLost(name string, err error) {
	var text string
	if err != nil {
		text = err.Error()
	}
	if d.lost.Set(name, text) && err != nil {
		d.log.WithError(err).WithField("volume", name).Error("a volume in use is not this node's alone any more")
	}
}
