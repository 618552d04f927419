package driver

import (
	"context"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/holder"
)

// audit looks once, when a pool is first proven after a start, and again when a release failed (a full disk keeps it from being put
// on record) or a record could not be read, for holds of this node that nothing here knows of any more: a plugin killed between taking a
// hold and counting the use leaves one, which would be kept for ever, and so does every container that a power cut ended. They are given
// back as pending releases. It also publishes this node's boot there, so that other nodes see at once that what it held before is free,
// and removes what a write that was cut off left.
func (d *Driver) audit(ctx context.Context, pool backend.Pool) {
	if d.audited.has(pool.UUID) {
		return
	}
	log := d.log.WithField("pool", pool.Name)
	if err := d.holders.PublishNode(ctx, pool); err != nil {
		log.WithError(err).Warn("this node's boot could not be published")
		return
	}
	if err := d.clearPool(ctx, pool); err != nil {
		log.WithError(err).Warn("temporary files of earlier processes could not be removed from the pool")
		return
	}
	if d.auditHolds(ctx, pool) {
		d.audited.add(pool.UUID)
	}
}

// auditHolds says whether it saw all holds of the pool, and put those on record that are to be given back. One record that cannot be
// read hides no other.
func (d *Driver) auditHolds(ctx context.Context, pool backend.Pool) bool {
	held, err := d.holders.List(ctx, pool)
	all, text := err == nil, ""
	if err != nil {
		text = err.Error()
	}
	if d.unaudited.Set(pool.Name, text) && err != nil {
		d.log.WithError(err).WithField("pool", pool.Name).Warn("not all holds of this node could be looked through")
	}
	for _, record := range held {
		directory := holder.Directory{Pool: pool, Subdir: record.Subdir}
		for _, node := range record.Holders {
			if !d.holders.Own(node) && !d.holders.Former(node) {
				continue
			}
			for _, use := range node.Uses {
				all = d.auditUse(ctx, directory, use.Volume) && all
			}
		}
	}
	return all
}

// auditUse waits for a Mount of the volume that may be under way: it has joined, and not counted its use yet. It says whether
// there is nothing left to do.
func (d *Driver) auditUse(ctx context.Context, directory holder.Directory, id string) bool {
	if record, ok := d.records.byID(id); ok {
		unlock, err := d.locks.Lock(ctx, record.Name)
		if err != nil {
			return false
		}
		defer unlock()
	}
	verdict, err := d.judge(ctx, id)
	if err == nil && verdict != holder.Give {
		return true
	}
	if err == nil {
		err = d.holders.Intend(directory, id)
	}
	if err != nil {
		d.log.WithError(err).WithField("id", id).Warn("a hold could not be judged, or not be noted for its release")
	}
	return err == nil
}

// byID finds a record by the volume's ID.
func (r *records) byID(id string) (catalog.Record, bool) {
	if record, ok := r.node.ByID(id); ok {
		return record, true
	}
	return r.cluster.ByID(id)
}
