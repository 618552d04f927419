package driver

import (
	"context"
	"sync"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// How often the background looks after things.
const (
	catalogEvery = 700 * time.Millisecond // a change on another node is seen within a second
	healEvery    = 3 * time.Second
	sweepEvery   = 30 * time.Second
	retainEvery  = time.Hour
	// turnLimit bounds one turn of a loop for one volume or pool.
	turnLimit = 25 * time.Second
)

// Run restores what a crash left, then looks after the driver's state until the context ends. It unmounts nothing when it
// ends: containers go on without the plugin (DESIGN D12).
func (d *Driver) Run(ctx context.Context) error {
	d.restore(ctx)
	var group sync.WaitGroup
	for _, storage := range d.backends {
		if runner, ok := storage.(backend.Runner); ok {
			group.Go(func() { runner.Run(ctx) })
		}
	}
	group.Go(func() { every(ctx, catalogEvery, d.followCatalog) })
	group.Go(func() { every(ctx, healEvery, d.heal) })
	group.Go(func() { every(ctx, sweepEvery, d.sweep) })
	group.Go(func() { every(ctx, retainEvery, d.retain) })
	group.Wait()
	return nil
}

// every calls work until the context ends, with pauses in between, the first time at once.
func every(ctx context.Context, pause time.Duration, work func(context.Context)) {
	for {
		work(ctx)
		if !wait(ctx, pause) {
			return
		}
	}
}

// retain empties the trash of what is older than the retention, and reads the cluster's catalog as a whole, so that a record
// that was damaged under way is noticed before somebody needs it.
func (d *Driver) retain(ctx context.Context) {
	if d.records.cluster.State().Attached {
		limited, cancel := context.WithTimeout(ctx, turnLimit)
		if err := d.records.cluster.Scan(limited); err != nil {
			d.log.WithError(err).Warn("the cluster's catalog could not be read as a whole")
		}
		cancel()
	}
	now := d.options.Settings.Current()
	for _, name := range d.poolNames() {
		limited, cancel := context.WithTimeout(ctx, turnLimit)
		count, err := d.options.Pools.TrashEmpty(limited, name, "", d.now().Add(-now.Defaults.TrashRetention))
		cancel()
		log := d.log.WithField("pool", name)
		switch {
		case err != nil:
			log.WithError(err).Debug("the trash could not be looked through")
		case count > 0:
			log.WithField("entries", count).Info("trash past its retention was deleted")
		}
	}
}
