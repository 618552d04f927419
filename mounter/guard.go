package mounter

import (
	"context"
	"sync"
	"time"
)

// maxStuck bounds the threads that wait for a kernel that does not answer. Go ends the process at 10,000 threads.
const maxStuck = 256

// grace is for how long a call is not taken for stuck whose caller gave up: he may have had hardly any time left.
const grace = time.Second

// Guard runs calls that may hang, each in a goroutine of its own, and lets their callers go when their context ends. Calls
// with one key run one after the other; while a call with a key is stuck, later ones with that key fail, at once when it has run for
// a second. The zero Guard is ready for use.
type Guard struct {
	mu    sync.Mutex // guards what follows; never held while waiting
	calls map[string]*guarded
	stuck int
}

// guarded is a call that has not returned.
type guarded struct {
	since     time.Time
	done      chan struct{} // closed when the call returned
	abandoned chan struct{} // closed when its caller gave up
	err       error         // valid when done is closed
}

// Do runs work. When the context ends first it returns an [*Error] that matches [ErrStuck] and tells when the call is
// over; work goes on, and if it then succeeds, undo (which may be nil) takes it back before the key is free again. An earlier stuck
// call with the same key, or too many stuck calls in all, give an [*Error] that matches [ErrBusy]. The error's Op is the key.
func (g *Guard) Do(ctx context.Context, key string, work func() error, undo func()) error {
	if ctx.Err() != nil {
		return &Error{Op: key, Since: time.Now(), Err: ErrStuck}
	}
	call, err := g.enter(ctx, key)
	if err != nil {
		return err
	}
	go g.run(key, call, work, undo)
	select {
	case <-call.done:
		return call.err
	case <-ctx.Done():
		return g.abandon(key, call)
	}
}

// Busy tells since when a call with the key has been stuck; ok is false when none is.
func (g *Guard) Busy(key string) (since time.Time, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	call := g.calls[key]
	if call == nil || !closed(call.abandoned) {
		return time.Time{}, false
	}
	return call.since, true
}

// Wait waits until no call runs any more, not even one that was given up, or until the context ends. Tests call it before they remove
// the folders that such a call may write to; a process whose kernel hangs would wait in vain.
func (g *Guard) Wait(ctx context.Context) error {
	for {
		call := g.any()
		if call == nil {
			return nil
		}
		select {
		case <-call.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// any is a call that has not returned, or nil.
func (g *Guard) any() *guarded {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, call := range g.calls {
		return call
	}
	return nil
}

// enter takes the key, waiting for a healthy call that has it.
func (g *Guard) enter(ctx context.Context, key string) (*guarded, error) {
	for {
		call, earlier := g.take(key)
		if earlier == nil {
			return call, nil
		}
		select {
		case <-earlier.done:
		case <-earlier.abandoned:
			if !earlier.returns(ctx) {
				return nil, &Error{Op: key, Since: earlier.since, Err: ErrBusy}
			}
		case <-ctx.Done():
			return nil, &Error{Op: key, Since: earlier.since, Err: ErrBusy}
		}
	}
}

// returns waits for an abandoned call until it counts as stuck, and says whether it has returned.
func (g *guarded) returns(ctx context.Context) bool {
	timer := time.NewTimer(grace - time.Since(g.since))
	defer timer.Stop()
	select {
	case <-g.done:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return closed(g.done)
}

// take registers a call, or gives the one that is in the way.
func (g *Guard) take(key string) (call, earlier *guarded) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if earlier = g.calls[key]; earlier != nil {
		return nil, earlier
	}
	if g.stuck >= maxStuck {
		return nil, g.oldest()
	}
	if g.calls == nil {
		g.calls = make(map[string]*guarded)
	}
	call = &guarded{since: time.Now(), done: make(chan struct{}), abandoned: make(chan struct{})}
	g.calls[key] = call
	return call, nil
}

// oldest is the stuck call that has waited longest; there is one.
func (g *Guard) oldest() *guarded {
	var oldest *guarded
	for _, call := range g.calls {
		if closed(call.abandoned) && (oldest == nil || call.since.Before(oldest.since)) {
			oldest = call
		}
	}
	return oldest
}

// run does the work and frees the key.
func (g *Guard) run(key string, call *guarded, work func() error, undo func()) {
	returned := false
	defer func() {
		// work ended its goroutine (runtime.Goexit, as a test's FailNow does)
		if !returned && !g.finish(key, call, ErrStuck) {
			g.release(key, call)
		}
	}()
	err := work()
	returned = true
	if g.finish(key, call, err) {
		return
	}
	if err == nil && undo != nil {
		undo()
	}
	g.release(key, call)
}

// finish hands the result to a caller that still waits; false says that nobody does.
func (g *Guard) finish(key string, call *guarded, err error) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if closed(call.abandoned) {
		return false
	}
	call.err = err
	delete(g.calls, key)
	close(call.done)
	return true
}

// release frees the key of an abandoned call.
func (g *Guard) release(key string, call *guarded) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stuck--
	delete(g.calls, key)
	close(call.done)
}

// abandon marks the call as stuck, unless it has just returned.
func (g *Guard) abandon(key string, call *guarded) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if closed(call.done) {
		return call.err
	}
	g.stuck++
	close(call.abandoned)
	return &Error{Op: key, Since: call.since, Done: call.done, Err: ErrStuck}
}

func closed(signal <-chan struct{}) bool {
	select {
	case <-signal:
		return true
	default:
		return false
	}
}
