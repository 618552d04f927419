package smb

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/mounter"
)

const (
	// tick is how often the background looks which shares are due.
	tick = time.Second
	// wellPause is when a share that is mounted and well is looked at again.
	wellPause = 30 * time.Second
	// firstPause and longestPause are the back-off of a share whose server is away: 2 s, 4 s, ... 30 s. A NAS that is back
	// is noticed within half a minute at the latest; a Mount notices at once.
	firstPause   = 2 * time.Second
	longestPause = 30 * time.Second
	// refusedPause is that of a mounted share that the server does not let be used: servers lock accounts and
	// addresses out that log in again and again.
	refusedPause = 10 * time.Minute
	// giveUp is when the background forgets a share that is not mounted and that nothing has asked for.
	giveUp = 24 * time.Hour
	// hopeless is how long a mount may hang although its server accepts connections. The kernel's own search for a server that is
	// back takes some seconds (FACTS 4).
	hopeless = 2 * time.Minute
	// checkLimit bounds one look of the background.
	checkLimit = 30 * time.Second
)

// plan says when the background looks at a share again. One that was refused, by its name or its password, is not tried again
// for nobody: only a mounted one is.
func (s state) plan(now time.Time) time.Time {
	switch {
	case s.err == nil:
		return now.Add(wellPause)
	case errors.Is(s.err, backend.ErrUnavailable):
		return now.Add(min(firstPause<<min(s.tries, 10), longestPause))
	case s.share.target != "":
		return now.Add(refusedPause)
	}
	return time.Time{}
}

// checks are the background's looks that are under way.
type checks struct {
	mu    sync.Mutex      // guards busy
	busy  map[string]bool // by server
	group sync.WaitGroup
}

func (c *checks) enter(server string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy[server] {
		return false
	}
	if c.busy == nil {
		c.busy = map[string]bool{}
	}
	c.busy[server] = true
	return true
}

func (c *checks) leave(server string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.busy, server)
}

// Check looks at every share that is due: one after another of one server, all servers at the same time. It waits for none.
func (b *Backend) Check(ctx context.Context) {
	for server, shares := range b.due() {
		if !b.checks.enter(server) {
			continue
		}
		b.checks.group.Go(func() {
			defer b.checks.leave(server)
			for _, s := range shares {
				if ctx.Err() == nil {
					b.check(ctx, s)
				}
			}
		})
	}
}

// due finds the shares to look at, by server, and forgets those that nobody wants any more.
func (b *Backend) due() map[string][]share {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, servers := b.now(), map[string][]share{}
	for key, known := range b.states {
		if b.unwanted(key, known) {
			delete(b.states, key)
			continue
		}
		if known.next.IsZero() || now.Before(known.next) || known.share.key == "" || b.flights[key] != nil {
			continue
		}
		due := known.share
		due.background = true
		server := strings.ToLower(due.server)
		servers[server] = append(servers[server], due)
	}
	return servers
}

// unwanted says of a share that is not looked at, since it was refused, that nobody has asked for it for long either.
func (b *Backend) unwanted(key string, known state) bool {
	return known.next.IsZero() && known.err != nil && b.flights[key] == nil && b.now().Sub(known.used) > giveUp
}

// check looks at one share. One that is mounted is asked for its root; one that is not, though somebody wanted it, is mounted.
func (b *Backend) check(ctx context.Context, s share) {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	known, ok := b.known(s.key)
	found, err := b.find(ctx, s)
	if err != nil || !ok {
		return
	}
	gone := !known.when.IsZero() && (known.err == nil || known.share.target != "")
	if found.target == "" && (gone || b.now().Sub(known.used) > giveUp) {
		b.drop(s.key, known) // unmounted by hand, or by a sweep that did not hear of it in time; or long unused
		return
	}
	s, err = b.visit(ctx, s, glance)
	if errors.Is(err, mounter.ErrBusy) || errors.Is(err, mounter.ErrStuck) {
		s, err = b.unstick(ctx, s, err)
	}
	if !errors.Is(err, errUnused) && !errors.Is(ctx.Err(), context.Canceled) { // else the plugin ends, which says nothing of the share
		b.checked(s, known, err)
	}
}

// checked remembers what a look of the background came to. A share that nobody has asked for since the start, and that is refused, is
// forgotten; one whose volume was removed with the login that was given in its options is left to the sweep.
func (b *Backend) checked(s share, known state, err error) {
	if s.target != "" && s.inline() && errors.Is(err, credential.ErrNotFound) {
		b.rest(s.key)
		return
	}
	if known.when.IsZero() && s.target == "" && err != nil && !errors.Is(err, backend.ErrUnavailable) {
		b.log.WithError(err).WithField("share", s.device).Info("a share that this node used last cannot be mounted; it waits for a volume that asks")
		b.drop(s.key, known)
		return
	}
	b.note(s, b.told(s, err))
}

// rest has the background look at a share no more, until somebody asks for it.
func (b *Backend) rest(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known, ok := b.states[key]; ok {
		known.next = time.Time{}
		b.states[key] = known
	}
}

// glance asks a share for its root.
func glance(root *os.Root) error {
	_, err := root.Stat(".")
	return err
}

// unstick finds out about a mounted share in which a look has not come back. One that still hangs when its server has accepted
// connections for a while hangs for good, and is replaced.
func (b *Backend) unstick(ctx context.Context, s share, stuck error) (share, error) {
	reason := b.diagnose(ctx, s)
	accepts := b.accepting(s.key, reason == nil)
	switch {
	case errors.Is(reason, backend.ErrUnavailable):
		return s, reason
	case reason == nil && accepts < hopeless, b.replacedLately(s), s.mounted == "":
		return s, stuck
	case reason == nil:
		reason = errStale
	}
	return b.replace(ctx, s, reason, glance)
}

// accepting tells for how long the server of a share that hangs has accepted connections.
func (b *Backend) accepting(key string, does bool) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.states[key]
	switch {
	case !does:
		known.accepts = time.Time{}
	case known.accepts.IsZero():
		known.accepts = b.now()
	}
	b.states[key] = known
	if known.accepts.IsZero() {
		return 0
	}
	return b.now().Sub(known.accepts)
}
