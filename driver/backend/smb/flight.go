package smb

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/driver/credential"
)

// Times of a mount in flight.
const (
	// mountLimit is how long a mount is left to the kernel: three times the default echo interval of 60 s (FACTS 4).
	mountLimit = 200 * time.Second
	// patience is when a mount in flight counts as stuck: later callers are answered at once. It is longer than the 20 s
	// that the kernel needs to find a dead server and shorter than a caller's 25 s (DESIGN D10).
	patience = 22 * time.Second
	// serverPatience is the same for other shares of the server.
	serverPatience = 8 * time.Second
)

// flight is a mount or unmount of one share that has not ended. It is independent of those who wait for it.
type flight struct {
	since time.Time
	done  chan struct{} // closed at the end
	err   error         // valid when done is closed
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
	if time.Since(current.since) > patience && !ended(current) {
		return b.explainStuck(s, current.since)
	}
	select {
	case <-current.done:
		return current.err
	case <-ctx.Done():
		return b.explainStuck(s, current.since)
	}
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
	return b.begin(s.key), true
}

// begin registers a flight of a key that has none. Its caller has mu.
func (b *Backend) begin(key string) *flight {
	current := &flight{since: time.Now(), done: make(chan struct{})}
	b.flights[key] = current
	return current
}

func (b *Backend) land(key string, current *flight, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	current.err = err
	delete(b.flights, key)
	close(current.done)
}

// fly mounts the share: one at a time per server, the newest dialect first.
func (b *Backend) fly(ctx context.Context, s share, own *flight) error {
	server := strings.ToLower(s.server)
	if since, hangs := b.hanging(server); hangs {
		return b.explainStuck(s, since)
	}
	unlock, err := b.servers.Lock(ctx, server)
	if err != nil {
		return b.explainStuck(s, own.since)
	}
	defer unlock()
	b.occupy(server, own)
	defer b.occupy(server, nil)
	newest, err := b.find(ctx, s)
	if err != nil || newest.target != "" && newest.target != s.stale {
		return err // mounted by a flight that ended after the caller had looked
	}
	s.target = s.first
	if newest.target != "" {
		s.target = b.following(newest.target)
	}
	if err := b.mount(ctx, s); err != nil {
		return err
	}
	b.log.WithFields(logrus.Fields{"share": s.device, "mount": path.Base(s.target)}).Info("share mounted")
	b.memory.keep(s)
	return nil
}

// mount asks the kernel, the newest dialect first.
func (b *Backend) mount(ctx context.Context, s share) error {
	if err := b.allowed(s); err != nil {
		return err
	}
	var login credential.Credentials
	if s.credentials != "" {
		var err error
		if login, err = b.credentials.Get(ctx, s.credentials); err != nil {
			return err
		}
		s.user = login.Username
	}
	if err := b.spared(s, login); err != nil {
		return err
	}
	address, err := b.reach(ctx, s)
	if err != nil {
		return err
	}
	if !slices.Contains(s.versions, "1.0") {
		if err := b.greet(ctx, s, address); err != nil {
			return err
		}
	}
	for _, version := range s.versions {
		request := s.request(version, address.String())
		request.User, request.Domain, request.Password = login.Username, login.Domain, login.Password
		if err = b.kernel.MountShare(ctx, request); !refusesDialect(err) {
			break
		}
	}
	b.asked(s, login, err)
	if err != nil {
		return b.explain(s, err)
	}
	b.loggedIn(s.target, login)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answered[strings.ToLower(s.server)] = address
	return nil
}

// hanging says whether a mount from the server has been in flight for so long that waiting for its turn is pointless.
func (b *Backend) hanging(server string) (time.Time, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	holder := b.active[server]
	if holder == nil || time.Since(holder.since) < serverPatience {
		return time.Time{}, false
	}
	return holder.since, true
}

func (b *Backend) occupy(server string, own *flight) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if own == nil {
		delete(b.active, server)
		return
	}
	b.active[server] = own
}

// refusesDialect says whether an older dialect may help. A server that does not speak the one asked for makes the kernel
// say EOPNOTSUPP, or EINVAL and EPROTONOSUPPORT in some kernels.
func refusesDialect(err error) bool {
	return errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EPROTONOSUPPORT)
}
