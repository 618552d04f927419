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

// announce records that a volume is about to be made, unless its directory is above or below another volume's. The Creates of
// one pool take turns for it. Another node's may come in between: writing the record reads all that were written before, so that
// the later one sees the earlier one, and gives way.
func (d *Driver) announce(ctx context.Context, made *draft, steps *undo) error {
	if location := &made.record.Location; location.Kind == backend.OCFS2 {
		pool, err := d.options.Pools.Prepare(ctx, location.Pool)
		if err != nil {
			return err
		}
		location.PoolUUID = pool.UUID
		unlock, err := d.creates.Lock(ctx, pool.UUID)
		if err != nil {
			return fmt.Errorf("another volume is still being created on pool %s: %w", pool.Name, err)
		}
		defer unlock()
	}
	if err := d.apart(made.record); err != nil {
		return err
	}
	record, err := made.shelf.Put(ctx, made.record)
	if err != nil {
		d.unannounce(made, err, steps)
		return writable(err)
	}
	made.record = record
	steps.add(func(ctx context.Context) error { return made.shelf.Remove(ctx, record.ID) })
	return d.apart(record)
}

// unannounce takes back an intent that may be on record although writing it failed: the next start would make the volume, of which
// everybody was told that it could not be made. That of an earlier Create stays, since there may be something of it.
func (d *Driver) unannounce(made *draft, failed error, steps *undo) {
	unwritten := raced(failed) || errors.Is(failed, catalog.ErrDetached) || errors.Is(failed, catalog.ErrFrozen)
	if !unwritten && !made.again {
		steps.add(func(ctx context.Context) error { return made.shelf.Remove(ctx, made.record.ID) })
	}
}

// apart refuses a directory that is above or below another volume's (DESIGN D8). A volume that is being made too, and was recorded
// later, is no obstacle: it gives way itself.
func (d *Driver) apart(record catalog.Record) error {
	if record.Location.Kind != backend.OCFS2 || record.Location.Whole {
		return nil
	}
	var taken []string
	for _, other := range d.records.list() {
		later := record.Generation > 0 && other.State == catalog.Creating && other.Generation > record.Generation
		if other.ID != record.ID && !later && !other.Location.Whole && onePool(other.Location, record.Location) {
			taken = append(taken, other.Location.Subdir)
		}
	}
	return holder.Overlaps(taken, record.Location.Subdir)
}

// onePool goes by the file system, whatever it is called in the configuration. Half made records of older versions do not say it.
func onePool(a, b backend.Location) bool {
	if a.PoolUUID == "" || b.PoolUUID == "" {
		return a.Kind == b.Kind && a.Pool == b.Pool
	}
	return a.PoolUUID == b.PoolUUID
}

// giveWay ends a Create that was interrupted before it saw that another volume is above or below its directory, that its share
// refuses it, or that the data which it was to begin with is not to be had.
func (d *Driver) giveWay(ctx context.Context, record catalog.Record, shelf *catalog.Catalog, storage backend.Backend, pool *backend.Pool) error {
	if err := d.takeBack(ctx, storage, record); err != nil {
		return err
	}
	if own := credential.ForVolume(record.ID); record.Location.Credentials == own {
		if err := d.dropSecret(ctx, pool, own); err != nil {
			return err
		}
	}
	return shelf.Remove(ctx, record.ID)
}
