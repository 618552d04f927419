package driver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/holder"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// releaseLimit bounds one try to write a pool out and give a hold back; the sweep tries again.
const releaseLimit = 2 * time.Minute

// closeLimit is how long the end of the process waits for releases under way.
const closeLimit = 2 * time.Second

// busyPause is between two tries to write out a pool on which an abandoned call is still going on.
const busyPause = 250 * time.Millisecond

// releases are the holds that are about to be given back, by volume ID.
type releases struct {
	mu      sync.Mutex // guards waiting; held for map operations only
	waiting map[string]*departure
	group   sync.WaitGroup
}

// departure is one release under way: it lingers, writes the pool out, and then gives the hold back.
type departure struct {
	stop    context.CancelFunc // keeps the hold; what is being written out goes on
	hurry   chan struct{}      // closed: linger no more
	written chan struct{}      // closed: the pool is written out, or err says why not
	err     error
}

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

// finish cancels what lingers and waits for the rest, for a while at most.
func (r *releases) finish(limit time.Duration) {
	r.mu.Lock()
	for _, going := range r.waiting {
		going.stop()
	}
	r.mu.Unlock()
	done := make(chan struct{})
	go func() {
		r.group.Wait()
		close(done)
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// hasten ends the lingering of a release, and gives it out; nil when there is none.
func (r *releases) hasten(id string) *departure {
	r.mu.Lock()
	defer r.mu.Unlock()
	going := r.waiting[id]
	if going == nil {
		return nil
	}
	select {
	case <-going.hurry:
	default:
		close(going.hurry)
	}
	return going
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

// intend records that a hold is to be given back.
func (d *Driver) intend(record catalog.Record) {
	pool := backend.Pool{Name: record.Location.Pool, UUID: record.Location.PoolUUID}
	if err := d.holders.Intend(holder.Directory{Pool: pool, Subdir: record.Location.Subdir}, record.ID); err != nil {
		d.log.WithError(err).WithField("volume", record.Name).Error("the release of a hold could not be recorded; the holds of its pool are looked through until it is given back")
		d.audited.remove(pool.UUID)
	}
}

// releaseLater records that a hold is to be given back, so that a crash frees it late but never early or never, and gives
// it back in the background after a while. When that fails, the sweep tries again.
func (d *Driver) releaseLater(ctx context.Context, record catalog.Record, linger time.Duration) {
	d.intend(record)
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	going := &departure{stop: stop, hurry: make(chan struct{}), written: make(chan struct{})}
	d.releases.begin(record.ID, going)
	d.releases.group.Go(func() {
		defer stop()
		defer d.releases.end(record.ID, going)
		if err := d.depart(ctx, record, going, linger); err != nil && ctx.Err() == nil {
			d.log.WithError(err).WithField("volume", record.Name).Warn("a hold is not given back yet; it is tried again")
			d.audited.remove(record.Location.PoolUUID) // it may not be on record as due
		}
	})
}

// depart is a release from its beginning to its end. Writing out is not cancelled by a Mount that keeps the hold: a call to the
// kernel cannot be taken back, and one that is given up is in the way of the pool's other releases.
func (d *Driver) depart(ctx context.Context, record catalog.Record, going *departure, linger time.Duration) error {
	timer := time.NewTimer(linger)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-going.hurry:
	case <-ctx.Done():
		going.err = ctx.Err()
		close(going.written)
		return nil
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseLimit)
	defer cancel()
	going.err = d.writeOut(limited, record)
	close(going.written)
	if going.err != nil {
		return going.err
	}
	unlock, err := d.locks.Lock(ctx, record.Name)
	if err != nil {
		return nil // cancelled: the hold is kept, or somebody else gives it back
	}
	defer unlock()
	if ctx.Err() != nil || d.inUse(record.Name) {
		return nil
	}
	whole, done := context.WithTimeout(context.WithoutCancel(ctx), turnLimit)
	defer done()
	return d.giveBackWritten(whole, record)
}

// releaseNow gives a pending hold back before its time, for a Remove that follows the last Unmount at once. Its caller has the
// volume's turn.
func (d *Driver) releaseNow(ctx context.Context, record catalog.Record) error {
	going := d.releases.hasten(record.ID)
	if going == nil {
		return d.releaseLeft(ctx, record)
	}
	select {
	case <-going.written:
	case <-ctx.Done():
		return fmt.Errorf("what its last container wrote is still being written to the pool's disk; try again: %w", ctx.Err())
	}
	if going.err != nil {
		d.releases.end(record.ID, going) // it is over, also when its own goroutine has not said so yet: the next try is another one
		return going.err
	}
	d.releases.cancel(record.ID)
	return d.giveBackWritten(ctx, record)
}

// releaseLeft gives back a hold whose release has failed, or was cut off by the end of a process, and that is tried again by itself
// only later.
func (d *Driver) releaseLeft(ctx context.Context, record catalog.Record) error {
	if !slices.Contains(d.holders.Pending()[record.Location.PoolUUID], record.ID) {
		return nil
	}
	if err := d.writeOut(ctx, record); err != nil {
		return err
	}
	return d.giveBackWritten(ctx, record)
}

// writeOut writes a pool out: what a container wrote must be on the disk before another node may open it. A call that somebody
// gave up may be in the way; it is waited for.
func (d *Driver) writeOut(ctx context.Context, record catalog.Record) error {
	pool, err := d.options.Pools.Check(ctx, record.Location.Pool)
	if err != nil {
		return err
	}
	for {
		err := d.options.Mounter.Sync(ctx, mounter.Place{Side: mounter.Host, Path: pool.Path})
		if !errors.Is(err, mounter.ErrBusy) || !wait(ctx, busyPause) {
			return err
		}
	}
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
