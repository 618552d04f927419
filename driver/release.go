package driver

import (
	"context"
	"sync"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/holder"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// releaseLimit bounds one try to write a pool out and give a hold back; the sweep tries again.
const releaseLimit = 2 * time.Minute

// releases are the holds that are about to be given back, by volume ID.
type releases struct {
	mu      sync.Mutex // guards waiting; held for map operations only
	waiting map[string]context.CancelFunc
	group   sync.WaitGroup
}

// cancel keeps the hold of a volume that is being mounted again.
func (r *releases) cancel(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if stop, ok := r.waiting[id]; ok {
		stop()
		delete(r.waiting, id)
	}
}

func (r *releases) begin(id string, stop context.CancelFunc) {
	r.cancel(id)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = map[string]context.CancelFunc{}
	}
	r.waiting[id] = stop
}

// releaseLater records that a hold is to be given back, so that a crash frees it late but never early or never, and gives
// it back in the background after a while.
func (d *Driver) releaseLater(ctx context.Context, record catalog.Record, pool backend.Pool, linger time.Duration) {
	directory := holder.Directory{Pool: pool, Subdir: record.Location.Subdir}
	log := d.log.WithFields(map[string]any{"volume": record.Name, "pool": pool.Name})
	if err := d.holders.Intend(directory, record.ID); err != nil {
		log.WithError(err).Error("the release of a hold could not be recorded; it is given back all the same")
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	d.releases.begin(record.ID, stop)
	d.releases.group.Go(func() {
		defer stop()
		if !wait(ctx, linger) {
			return
		}
		if err := d.release(ctx, record); err != nil && ctx.Err() == nil {
			log.WithError(err).Warn("a hold is not given back yet; it is tried again")
		}
	})
}

// releaseNow gives a pending hold back before its time, for a Remove that follows the last Unmount at once.
func (d *Driver) releaseNow(ctx context.Context, record catalog.Record) {
	d.releases.mu.Lock()
	_, pending := d.releases.waiting[record.ID]
	d.releases.mu.Unlock()
	if !pending {
		return
	}
	d.releases.cancel(record.ID)
	if err := d.giveBack(ctx, record); err != nil {
		d.log.WithError(err).WithField("volume", record.Name).Warn("a hold is not given back yet; it is tried again")
	}
}

// release writes the pool out first: what a container wrote must be on the disk before another node may open it.
func (d *Driver) release(ctx context.Context, record catalog.Record) error {
	limited, cancel := context.WithTimeout(ctx, releaseLimit)
	defer cancel()
	if err := d.writeOut(limited, record); err != nil {
		return err
	}
	unlock, err := d.locks.lock(limited, record.Name)
	if err != nil {
		return err
	}
	defer unlock()
	if ctx.Err() != nil || d.inUse(record.Name) {
		return nil
	}
	d.releases.cancel(record.ID)
	return d.giveBackWritten(context.WithoutCancel(limited), record)
}

// giveBack is release for a caller that has the volume's lock.
func (d *Driver) giveBack(ctx context.Context, record catalog.Record) error {
	if err := d.writeOut(ctx, record); err != nil {
		return err
	}
	return d.giveBackWritten(ctx, record)
}

func (d *Driver) writeOut(ctx context.Context, record catalog.Record) error {
	pool, ok := d.options.Settings.Current().PoolNamed(record.Location.Pool)
	if !ok {
		return backend.ErrNotConfigured
	}
	return d.options.Mounter.Sync(ctx, mounter.Place{Side: mounter.Host, Path: pool.Path})
}

func (d *Driver) giveBackWritten(ctx context.Context, record catalog.Record) error {
	pool, err := d.options.Pools.Prove(ctx, record.Location.Pool)
	if err != nil {
		return err
	}
	return d.holders.Release(ctx, holder.Directory{Pool: pool, Subdir: record.Location.Subdir}, record.ID)
}

// wait waits for a while, and says whether the context is still in force.
func wait(ctx context.Context, while time.Duration) bool {
	timer := time.NewTimer(while)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
