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
	if err == nil {
		made.record = record
	}
	if err == nil || !unwritten(err) && !made.again { // the intent of an earlier Create stays: there may be something of it
		back := unannounce(made.record, made.shelf)
		steps.add(func(ctx context.Context) error { return d.withdraw(ctx, made.record.Name, back) })
	}
	if err != nil {
		return writable(err)
	}
	return d.apart(record)
}

// unwritten says that a failed Put has recorded nothing. After any other error the intent may be on record, and the next start would make
// the volume, of which everybody was told that it could not be made.
func unwritten(failed error) bool {
	return raced(failed) || errors.Is(failed, catalog.ErrDetached) || errors.Is(failed, catalog.ErrFrozen)
}

// unannounce is the way back from announce. A volume that another node has gone on with is that one's.
func unannounce(record catalog.Record, shelf *catalog.Catalog) withdrawal {
	return withdrawal{shelf, func(ctx context.Context) error {
		if now, ok := shelf.ByID(record.ID); ok && (now.State != catalog.Creating || now.CreatedBy != record.CreatedBy) {
			return nil
		}
		return shelf.Remove(ctx, record.ID)
	}}
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
