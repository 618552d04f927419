package driver

import (
	"context"
	"errors"
	"fmt"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/driver/holder"
)

// Remove forgets a volume, and does with its data what its class says (DESIGN D5). A volume in use is not removed.
func (d *Driver) Remove(ctx context.Context, name string) (err error) {
	unlock, err := d.locks.Lock(ctx, name)
	if err != nil {
		return fmt.Errorf("volume %q: another call for it is still going on: %w", name, err)
	}
	defer unlock()
	defer d.explain(name, &err)
	if err := d.withdrawLeft(ctx, name); err != nil {
		return err
	}
	tries := 0
	return d.racing(ctx, func() error {
		tries++
		record, shelf, ok := d.records.get(name)
		switch {
		case (!ok || !visible(record)) && tries > 1:
			return nil // another node has removed it meanwhile
		case !ok || !visible(record):
			return ErrNotFound
		}
		return d.remove(ctx, record, shelf)
	})
}

func (d *Driver) remove(ctx context.Context, record catalog.Record, shelf *catalog.Catalog) error {
	pool, err := d.attachFor(ctx, shelf)
	if err != nil {
		return err
	}
	if record.State == catalog.Removing {
		if same, err := d.current(ctx, record, shelf); err == nil && !same { // another node ended it, and may have made the volume anew
			return fmt.Errorf("%w: volume %s", catalog.ErrChanged, record.Name)
		}
	}
	if err := d.unused(ctx, record); err != nil {
		return err
	}
	anothers := record.State == catalog.Removing
	claimed, err := claim(ctx, record, shelf)
	if err != nil {
		if !raced(err) { // it may be on record all the same, as when only the folder's fsync failed
			d.unfinished.add(record.Name)
		}
		return err
	}
	return d.carryOut(ctx, claimed, shelf, pool, anothers)
}

// claim records that a volume is being removed, also when that is on record: whoever did it cannot take it back from then on, as it
// would when it sees a hold, while the data is on its way to the trash.
func claim(ctx context.Context, record catalog.Record, shelf *catalog.Catalog) (catalog.Record, error) {
	record.State = catalog.Removing
	record, err := shelf.Put(ctx, record)
	return record, writable(err)
}

// unclaim is the way back from claim.
func unclaim(record catalog.Record, shelf *catalog.Catalog) withdrawal {
	record.State = catalog.Ready
	return withdrawal{shelf, func(ctx context.Context) error {
		_, err := shelf.Put(ctx, record)
		return err
	}}
}

// carryOut does what was intended. What must not be done is not left as an intent: it would be done later, when nobody asks. An intent
// that was another's stays, since that one may be carrying it out now; a hold that is seen then is of a Mount that sees the intent. When
// it cannot be told whether there is one, the removal goes on by itself.
func (d *Driver) carryOut(ctx context.Context, record catalog.Record, shelf *catalog.Catalog, pool *backend.Pool, anothers bool) error {
	err := d.unused(ctx, record) // again: another node may have mounted it before it saw the intent
	_, held := errors.AsType[*heldError](err)
	refused := held && !anothers
	if err == nil {
		err = d.finishRemove(ctx, record, shelf, pool)
		refused = errors.Is(err, backend.ErrRefused)
	}
	switch {
	case refused:
		var steps undo
		steps.add(func(ctx context.Context) error { return d.withdraw(ctx, record.Name, unclaim(record, shelf)) })
		steps.fail(ctx, &err)
		return err
	case err != nil:
		d.unfinished.add(record.Name)
		return fmt.Errorf("the removal has begun and goes on by itself: %w", err)
	}
	d.unfinished.remove(record.Name)
	return nil
}

// completeRemove ends a removal that was interrupted, perhaps one that another node is just carrying out: a node that mounted the volume
// before it saw the intent keeps it. The intent stays; to take it back is up to whoever had it last.
func (d *Driver) completeRemove(ctx context.Context, record catalog.Record, shelf *catalog.Catalog) error {
	pool, err := d.attachFor(ctx, shelf)
	if err != nil {
		return err
	}
	if err := d.unused(ctx, record); err != nil {
		return err
	}
	if record, err = claim(ctx, record, shelf); err != nil {
		return err
	}
	if err := d.unused(ctx, record); err != nil {
		return err
	}
	return d.finishRemove(ctx, record, shelf, pool)
}

// finishRemove does what follows the recorded intent; each step may have been done before.
func (d *Driver) finishRemove(ctx context.Context, record catalog.Record, shelf *catalog.Catalog, pool *backend.Pool) error {
	storage, err := d.backendOf(record)
	if err != nil {
		return err
	}
	if err := storage.Remove(ctx, volumeOf(record)); err != nil {
		return err
	}
	d.forgetHolder(ctx, record)
	if own := credential.ForVolume(record.ID); record.Location.Credentials == own {
		if err := d.dropSecret(ctx, pool, own); err != nil {
			return fmt.Errorf("removing the stored user name and password: %w", err)
		}
	}
	if err := shelf.Remove(ctx, record.ID); err != nil {
		return writable(err)
	}
	d.failures.healed(record.Name) // the next volume of that name has not failed
	return nil
}

// forgetHolder removes the folder of a directory's holder record when its last volume is gone. What is left behind of it by a
// failure is an empty record, which the next volume of that directory uses.
func (d *Driver) forgetHolder(ctx context.Context, record catalog.Record) {
	if record.Location.Kind != backend.OCFS2 || record.Location.Whole {
		return
	}
	pool, err := d.options.Pools.Check(ctx, record.Location.Pool)
	if err == nil {
		err = d.holders.Forget(ctx, holder.Directory{Pool: pool, Subdir: record.Location.Subdir})
	}
	if err != nil {
		d.log.WithError(err).WithField("volume", record.Name).Warn("the holder record of a removed volume is left behind")
	}
}

// heldError says who has a volume that was to be removed.
type heldError struct{ text string }

func (e *heldError) Error() string { return e.text }

// unused refuses to remove what a container of this node or any other node holds, with a heldError. After any other error that is unknown.
func (d *Driver) unused(ctx context.Context, record catalog.Record) error {
	used, err := d.settleUses(ctx, record.Name)
	switch {
	case err != nil:
		return err
	case used:
		return d.usedHere(record.Name)
	}
	if record.Location.Kind != backend.OCFS2 || record.Location.Whole {
		return nil
	}
	if err := d.releaseNow(ctx, record); err != nil {
		return err
	}
	pool, err := d.options.Pools.Prove(ctx, record.Location.Pool)
	if err != nil {
		return err
	}
	held, err := d.holders.InForce(ctx, holder.Directory{Pool: pool, Subdir: record.Location.Subdir})
	if err != nil {
		return err
	}
	for _, node := range held {
		for _, use := range node.Uses {
			if use.Volume == record.ID {
				return d.heldBy(node, record.Name)
			}
		}
	}
	return nil
}

// usedHere says what of this node is in the way of a removal.
func (d *Driver) usedHere(name string) error {
	by := "a container"
	if volume, _ := d.uses.Of(name); len(volume.Uses) > 0 {
		by = fmt.Sprintf("%d container mount(s)", len(volume.Uses))
	}
	return &heldError{fmt.Sprintf("it is in use on this node by %s; remove the containers first (docker ps -a --filter volume=%s)", by, name)}
}

// heldBy says who is in the way of a removal.
func (d *Driver) heldBy(node holder.Holder, volume string) error {
	if d.holders.Own(node) {
		return &heldError{"no container of this node uses it, but this node's hold on it could not be given back yet, as with a full disk; " +
			"that is tried again every 30 s: look at the engine's log, and try again"}
	}
	return &heldError{fmt.Sprintf("it is in use on node %s since %s; stop its container there first, or `docker homelab holder break %s %s` when that node is gone for good",
		node.Name, node.Since.UTC().Format("2006-01-02 15:04:05 UTC"), volume, node.Name)}
}
