package driver

import (
	"context"
	"sync"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/guard/shares"
)

// How often the background looks after things.
const (
	catalogEvery = 700 * time.Millisecond // a change on another node is seen within a second
	healEvery    = 3 * time.Second
	healLongest  = 24 * time.Second // of a storage that stays away: its containers start within half a minute after it is back
	sweepEvery   = 30 * time.Second
	retainEvery  = time.Hour
)

// Run restores what a crash left, then looks after the driver's state until the context ends. It unmounts nothing when it
// ends: containers go on without the plugin (DESIGN D12).
func (d *Driver) Run(ctx context.Context) error {
	d.unfinished.add(d.interrupted()...)
	var group sync.WaitGroup
	for _, storage := range d.backends {
		if runner, ok := storage.(backend.Runner); ok {
			group.Go(func() { runner.Run(ctx) })
		}
	}
	group.Go(func() { every(ctx, sweepEvery, d.drains.Finish) })
	group.Go(func() { every(ctx, catalogEvery, d.followCatalog) })
	group.Go(func() { every(ctx, healEvery, d.heal) })
	group.Go(func() { every(ctx, sweepEvery, d.sweep) })
	group.Go(func() { every(ctx, watchEvery, d.watch) })
	group.Go(func() { every(ctx, shares.Every, d.guardShares) })
	group.Go(func() { every(ctx, watchEvery, d.answers) })
	group.Go(func() { every(ctx, sweepEvery, d.watchSwarm) })
	group.Go(func() { every(ctx, retainEvery, d.retain) })
	group.Wait()
	for _, kind := range d.background() {
		kind.group.Wait()
	}
	return nil
}

// background lists the kinds of work that have rounds.
func (d *Driver) background() []*rounds {
	return []*rounds{&d.heals, &d.rebinds, &d.sweeps, &d.resumes, &d.completions, &d.disposals, &d.retentions, &d.watches, &d.looks, &d.replies}
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

// retain empties the trash of what is older than the retention, removes what crashes left, which may hold a password, and reads the
// cluster's catalog as a whole, so that a record that was damaged under way is noticed before somebody needs it.
func (d *Driver) retain(ctx context.Context) {
	d.clearNode(ctx)
	if d.records.cluster.State().Attached {
		limited, cancel := context.WithTimeout(ctx, turnLimit)
		if err := d.records.cluster.Scan(limited); err != nil {
			d.log.WithError(err).Warn("the cluster's catalog could not be read as a whole")
		}
		cancel()
	}
	d.retentions.begin(ctx, d.tidy, alone(d.poolNames()))
}

// tidy deletes from a pool what crashes left, and the trash that is past its retention.
func (d *Driver) tidy(ctx context.Context, name string) error {
	limited, cancel := context.WithTimeout(ctx, turnLimit)
	defer cancel()
	if pool, err := d.options.Pools.Check(limited, name); err == nil {
		if err := d.clearPool(limited, pool); err != nil {
			d.log.WithError(err).WithField("pool", name).Debug("temporary files of earlier processes could not be removed from the pool")
		}
	}
	return d.emptyOld(limited, name)
}

// emptyOld deletes the trash of a pool that is past its retention.
func (d *Driver) emptyOld(ctx context.Context, pool string) error {
	retention := d.options.Settings.Current().Defaults.TrashRetention
	count, err := d.options.Pools.TrashEmpty(ctx, pool, "", d.now().Add(-retention))
	log := d.log.WithField("pool", pool)
	switch {
	case err != nil:
		log.WithError(err).Debug("the trash could not be looked through")
	case count > 0:
		log.WithField("entries", count).Info("trash past its retention was deleted")
	}
	return err
}
