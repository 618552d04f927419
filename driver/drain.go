package driver

import (
	"context"
	"fmt"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
)

// Drain takes a pool out of use on this node, see [drain.Keeper.Drain]; [Driver.DrainProgress] tells how far it has come.
func (d *Driver) Drain(ctx context.Context, pool string, options DrainOptions) (DrainReport, error) {
	if err := d.drainable(pool); err != nil {
		return DrainReport{Ended: true}, err
	}
	return d.drains.Drain(ctx, pool, options)
}

// Undrain ends a drain: the pool is mounted as it is, proven, and what the drain stopped is started.
func (d *Driver) Undrain(ctx context.Context, pool string) (DrainReport, error) {
	if err := d.drainable(pool); err != nil {
		return DrainReport{Ended: true}, err
	}
	return d.drains.Undrain(ctx, pool)
}

// DrainProgress waits for a while until the report of the latest Drain or Undrain has more than some lines, or an end.
func (d *Driver) DrainProgress(ctx context.Context, pool string, seen int) (DrainReport, error) {
	return d.drains.Progress(ctx, pool, seen)
}

// drainable refuses names that are no pool with a disk, and every pool of a node that is being left.
func (d *Driver) drainable(pool string) error {
	if d.leaving.Load() {
		return errLeaving
	}
	if configured, ok := d.options.Settings.Current().PoolNamed(pool); ok && !configured.Standalone {
		return nil
	}
	if _, err := d.pools(pool); pool != "" && err != nil {
		return err
	}
	return fmt.Errorf("pool %q is a folder of this node's own disk: there is nothing to unmount or check", pool)
}

// drainVolumes is what a drain asks of the driver.
type drainVolumes struct{ driver *Driver }

// On lists the volumes on a pool.
func (v drainVolumes) On(pool string) []catalog.Record {
	var found []catalog.Record
	for _, record := range v.driver.records.list() {
		if record.Location.Kind == backend.OCFS2 && record.Location.Pool == pool && !record.Location.Standalone {
			found = append(found, record)
		}
	}
	return found
}

// Vacate unmounts volumes and gives their holds back, see vacate.go.
func (v drainVolumes) Vacate(ctx context.Context, volumes []catalog.Record) error {
	if err := v.driver.unbindAll(ctx, volumes); err != nil {
		return err
	}
	v.driver.released(ctx, volumes)
	return nil
}

// LetGo closes the cluster's catalog, when it is on the pool.
func (v drainVolumes) LetGo(pool string) {
	if configured, ok := v.driver.options.Settings.Current().CatalogPool(); ok && configured.Name == pool {
		v.driver.records.cluster.Detach()
	}
}
