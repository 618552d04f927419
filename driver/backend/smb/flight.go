package smb

import (
	"context"
	"fmt"
	"time"
)

// Times of a mount in flight.
const (
	// mountLimit is how long a mount may take: askLimit for the server, turnPatience for its turn, and three times the default echo
	// interval of 60 s for the kernel (FACTS 4).
	mountLimit = 220 * time.Second
	// patience is when a mount counts as stuck that the kernel is asked for: later callers are answered at once. It is longer than the
	// 20 s that the kernel needs to find a dead server and shorter than a caller's 25 s (DESIGN D10).
	patience = 22 * time.Second
)

// flight is a mount or unmount of one share that has not ended. It is independent of those who wait for it.
type flight struct {
	since time.Time
	done  chan struct{} // closed at the end
	err   error         // valid when done is closed
	// Guarded by the backend's mu: queued says that the server has answered and others are before it, kernel since when the kernel is
	// asked for it, forgotten that it was for a volume that could not be created.
	queued    bool
	kernel    time.Time
	forgotten bool
}

// ensure mounts the share unless it is mounted, and tells where. Everybody who asks for one key meanwhile waits for the same mount.
func (b *Backend) ensure(ctx context.Context, s share) (share, error) {
	for range 4 { // a mount, and unmounts that came first
		current := b.touch(s)
		if current == nil {
			if there, ok := b.proven(s); ok {
				return there, nil
			}
			there, mounted, err := b.mounted(ctx, s)
			if mounted || err != nil {
				return there, err
			}
			if current = b.launch(ctx, s); current == nil {
				return s, errUnused
			}
		}
		if err := b.wait(ctx, s, current); err != nil {
			return s, err
		}
	}
	return s, b.explain(s, fmt.Errorf("the mount table does not show the share at %s after it was mounted", s.first))
}

// proven gives the mount that was found in the table before and was well since: a table with hundreds of volumes takes milliseconds to
// read. The look that follows makes sure that the same file system is there.
func (b *Backend) proven(s share) (share, bool) {
	known, _ := b.known(s.key)
	if s.background || s.stale != "" || s.unproven || known.err != nil || known.share.number == 0 {
		return s, false
	}
	s.target, s.mounted, s.number = known.share.target, known.share.mounted, known.share.number
	return s, true
}

// mounted says whether the share has a mount that is not a stale one, and which.
func (b *Backend) mounted(ctx context.Context, s share) (share, bool, error) {
	newest, err := b.find(ctx, s)
	if err != nil || newest.target == "" || newest.target == s.stale {
		return s, false, err
	}
	s.target, s.mounted = newest.target, newest.address
	return s, true, nil
}

// wait follows a flight until it ends or the caller's time does. One that has been up for long is not waited for.
func (b *Backend) wait(ctx context.Context, s share, current *flight) error {
	if since := b.asksKernel(current); !since.IsZero() && time.Since(since) > patience && !ended(current) {
		return b.explainStuck(s, since)
	}
	select {
	case <-current.done:
		return current.err
	case <-ctx.Done():
		return b.explainWaiting(s, current)
	}
}

// asksKernel tells since when the kernel is asked for a flight; it is zero before.
func (b *Backend) asksKernel(f *flight) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return f.kernel
}

func ended(f *flight) bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// launch starts a mount, or gives the flight that was first. It is nil for a share that only the background still asks for: it was
// unmounted meanwhile.
func (b *Backend) launch(ctx context.Context, s share) *flight {
	current, first := b.register(s)
	if !first {
		return current
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mountLimit)
	go func() {
		defer cancel()
		b.land(s.key, current, b.fly(ctx, s, current))
	}()
	return current
}

func (b *Backend) register(s share) (current *flight, first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if current := b.flights[s.key]; current != nil {
		return current, false
	}
	if _, known := b.states[s.key]; s.background && !known {
		return nil, false
	}
	current = b.begin(s.key)
	current.kernel = time.Time{}
	return current, true
}

// begin registers a flight of a key that has none, for which the kernel is asked at once. Its caller has mu.
func (b *Backend) begin(key string) *flight {
	now := time.Now()
	current := &flight{since: now, kernel: now, done: make(chan struct{})}
	b.flights[key] = current
	return current
}

func (b *Backend) land(key string, current *flight, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	current.err = err
	delete(b.flights, key)
	if err != nil && current.forgotten {
		b.forgetUnseen(key)
	}
	close(current.done)
}
