package driver

import (
	"context"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
)

// Sweep is one whole sweep, waited for.
func (d *Driver) Sweep(ctx context.Context) {
	d.sweep(ctx)
	d.rest()
}

// Retain is what is done each hour, waited for.
func (d *Driver) Retain(ctx context.Context) {
	d.retain(ctx)
	d.rest()
}

// Intend is the first half of a Remove that looked for holds just before somebody mounted the volume.
func (d *Driver) Intend(ctx context.Context, name string) error {
	record, shelf, _ := d.records.get(name)
	record.State = catalog.Removing
	_, err := shelf.Put(ctx, record)
	return err
}

// Withdraw is the second half of such a Remove, which has seen the hold.
func (d *Driver) Withdraw(ctx context.Context, name string) error {
	record, shelf, _ := d.records.get(name)
	record.State = catalog.Ready
	_, err := shelf.Put(ctx, record)
	return err
}

// Hold is the first half of a Mount.
func (d *Driver) Hold(ctx context.Context, name string) error {
	record, _, _ := d.records.get(name)
	staged, err := d.backends[record.Location.Kind].Stage(ctx, volumeOf(record))
	if err != nil {
		return err
	}
	return d.join(ctx, record, staged)
}

// Resume looks after the releases of a pool that are not finished.
func (d *Driver) Resume(ctx context.Context, pool backend.Pool) { d.resumePool(ctx, pool) }

func (d *Driver) rest() {
	for _, kind := range d.background() {
		kind.group.Wait()
	}
}
