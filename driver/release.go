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
	waiting map[string]*departure
	group   sync.WaitGroup
}

// departure is one release under way.
type departure struct{ stop context.CancelFunc }

// cancel keeps the hold of a volume that is being mounted again.
func (r *releases) cancel(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if going, ok := r.waiting[id]; ok {
		going.stop()
		delete(r.waiting, id)
	}
}

// pending says whether a release is under way or about to be.
func (r *releases) pending(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.waiting[id]
	return ok
}

func (r *releases) begin(id string, going *departure) {
	r.cancel(id)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = map[string]*departure{}
	}
	r.waiting[id] = going
}

// end takes a release off, done or not; one that took its place stays.
func (r *releases) end(id string, going *departure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting[id] == going {
		delete(r.waiting, id)
	}
}

// releaseLater records that a hold is to be given back, so that a crash frees it late but never early or never, and gives
// it back in the background after a while. When that fails, the sweep tries again.
func (d *Driver) releaseLater(ctx context.Context, record catalog.Record, pool backend.Pool, linger time.Duration) {
	directory := holder.Directory{Pool: pool, Subdir: record.Location.Subdir}
	log := d.log.WithFields(map[string]any{"volume": record.Name, "pool": pool.Name})
	if err := d.holders.Intend(directory, record.ID); err != nil {
		log.WithError(err).Error("the release of a hold could not be recorded; it is given back all the same")
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	going := &departure{stop: stop}
	d.releases.begin(record.ID, going)
	d.releases.group.Go(func() {
		defer stop()
		defer d.releases.end(record.ID, going)
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
	if !d.releases.pending(record.ID) {
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
	// From here on it is done as a whole: a Mount that cancels it waits for the volume's turn.
	whole, done := context.WithTimeout(context.WithoutCancel(ctx), turnLimit)
	defer done()
	return d.giveBackWritten(whole, record)
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
