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

// endLimit is how long releases may take from the first word of the process's end: the engine kills a plugin 10 s after it told it to end
// (FACTS 1).
const endLimit = 9 * time.Second

// busyPause is between two tries to write out a pool on which an abandoned call is still going on.
const busyPause = 250 * time.Millisecond

// releases are the holds that are about to be given back, by volume ID.
type releases struct {
	mu      sync.Mutex // guards what follows, but for the group; held for map operations only
	waiting map[string]*departure
	ending  time.Time // since when nothing lingers; zero as long as the process goes on
	group   sync.WaitGroup
}

// errStillMounted keeps the hold of a volume.
var errStillMounted = errors.New("the volume is still mounted")

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

// hurry gives back what is about to be given back, now, and from now on without lingering: after the end of this process nobody would.
// The engine may have been stopped, while its node goes on to be live for the others.
func (r *releases) hurry() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ending.IsZero() {
		r.ending = time.Now()
	}
	for _, going := range r.waiting {
		going.hasten()
	}
}

// finish waits until everything is given back, for as long as the end of the process allows.
func (r *releases) finish() {
	r.hurry()
	done := make(chan struct{})
	go func() {
		r.group.Wait()
		close(done)
	}()
	r.mu.Lock()
	timer := time.NewTimer(time.Until(r.ending.Add(endLimit)))
	r.mu.Unlock()
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		r.stop()
	}
}

// stop keeps the holds that are not given back yet.
func (r *releases) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, going := range r.waiting {
		going.stop()
	}
}

// hasten ends the lingering of a release, and gives it out; nil when there is none.
func (r *releases) hasten(id string) *departure {
	r.mu.Lock()
	defer r.mu.Unlock()
	going := r.waiting[id]
	if going != nil {
		going.hasten()
	}
	return going
}

// hasten ends the lingering. Its caller has the mutex of the releases.
func (g *departure) hasten() {
	select {
	case <-g.hurry:
	default:
		close(g.hurry)
	}
}

func (r *releases) begin(id string, going *departure) {
	r.cancel(id)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = map[string]*departure{}
	}
	r.waiting[id] = going
	if !r.ending.IsZero() {
		going.hasten()
	}
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

// giveBackWritten gives a hold back. Its caller has the volume's turn. As long as the volume is mounted, something may use it that is not
// counted; the sweep unmounts it when nothing does.
func (d *Driver) giveBackWritten(ctx context.Context, record catalog.Record) error {
	mounted, err := d.isMounted(ctx, record.Name)
	if err == nil && mounted {
		err = errStillMounted
	}
	if err != nil {
		return err
	}
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
