package smb

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// findingHolds is for how long the background believes that a server is away: it looks at all shares of one server with one answer.
const findingHolds = 2 * time.Second

// suspectLimit is how long a server may take for a greeting of which a mount has no answer already: whoever waits is to know at once, and
// is to be let in at once when the server is back. The background takes the time that a mount would: it is to find out that a slow server is
// well.
const suspectLimit = 2 * time.Second

// finding is what the server of a mounted share was found to be. Its zero value says nothing against it.
type finding struct {
	addresses   []netip.Addr
	unreachable error       // of its port
	silent      error       // what is wrong with its answer to a greeting
	asked       time.Time   // when it was greeted
	moved       *movedError // it has another address now
	at          time.Time   // when it was kept
}

// reason is the finding as an error of one share, or nil.
func (b *Backend) reason(s share, f finding) error {
	switch {
	case f.moved != nil:
		return f.moved
	case f.unreachable != nil:
		return b.explainReach(s, f.addresses, f.unreachable)
	case errors.Is(f.silent, syscall.EHOSTDOWN): // as a look into the share that hangs says it: one cause has one sentence
		return b.explainStuck(s, f.asked)
	case f.silent != nil:
		return b.explainGreeting(s, f.addresses[0], f.silent)
	}
	return nil
}

// diagnose says why a mounted share does not answer: its server cannot be reached, or has another address now. It is nil when
// the server accepts connections where the share is mounted from; then it is slow, or hangs.
func (b *Backend) diagnose(ctx context.Context, s share) error { return b.reason(s, b.examine(ctx, s)) }

func (b *Backend) examine(ctx context.Context, s share) finding {
	mounted, err := netip.ParseAddr(s.mounted)
	if err != nil {
		return finding{} // the mount table does not tell: nothing is known
	}
	addresses, err := b.addresses(ctx, s)
	if err != nil {
		addresses = nil // a name that is not known now says nothing of a share that is mounted
	}
	if !slices.Contains(addresses, mounted) {
		addresses = append(addresses, mounted)
	}
	winner, err := b.race(ctx, addresses, mounted, s.port, probeLimit)
	switch {
	case ctx.Err() != nil:
		return finding{} // the look has ended
	case err != nil:
		return finding{addresses: addresses, unreachable: err}
	case winner != mounted:
		return finding{moved: &movedError{old: mounted.String(), now: winner.String()}}
	}
	return finding{}
}

// forewarned asks the server of a mounted share whether it is there, without touching the mount, when another mount from it is known to
// have no answer. A look that finds out by hanging costs a thread, of which there is a limited number for everything ([mounter.Guard]).
func (b *Backend) forewarned(ctx context.Context, s share) error {
	mounted, err := netip.ParseAddr(s.mounted)
	if err != nil || !b.suspected(s) {
		return nil //nolint:nilerr // the mount table does not tell whom to ask
	}
	where := net.JoinHostPort(mounted.String(), s.port)
	if found, lately := b.foundLately(where); lately && s.background {
		return b.reason(s, found)
	}
	found := b.ask(ctx, s, mounted)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the look has ended
	}
	b.found(where, found)
	return b.reason(s, found)
}

// ask finds out whether a server answers where a share is mounted from.
func (b *Backend) ask(ctx context.Context, s share, mounted netip.Addr) finding {
	if found := b.reachable(ctx, s, mounted); found.unreachable != nil || found.moved != nil {
		return found
	}
	if slices.Contains(s.versions, "1.0") {
		return finding{}
	}
	asked, limit := time.Now(), suspectLimit
	if s.background {
		limit = greetLimit
	}
	silent := b.greet(ctx, mounted, s.port, asked.Add(limit))
	if errors.Is(silent, errEnds) || errors.Is(silent, errOld) { // it is there, and its connection that the mount has may be well
		silent = nil
	}
	return finding{addresses: []netip.Addr{mounted}, asked: asked, silent: silent}
}

// reachable finds out whether a server accepts a connection where a share is mounted from. When it does not at once, its name is resolved
// and all its addresses are tried beside that, so that one that is away costs whoever waits one probeLimit, and a resolver that is slow
// nothing when the server is there.
func (b *Backend) reachable(ctx context.Context, s share, mounted netip.Addr) finding {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	alone, examined := make(chan error, 1), make(chan finding, 1)
	go func() {
		_, err := b.race(ctx, []netip.Addr{mounted}, mounted, s.port, 0)
		alone <- err
	}()
	examine := sync.OnceFunc(func() { go func() { examined <- b.examine(ctx, s) }() })
	defer time.AfterFunc(headStart, examine).Stop()
	for {
		select {
		case err := <-alone:
			if err == nil {
				return finding{}
			}
			examine()
		case found := <-examined:
			return found
		}
	}
}

// foundLately gives what was found of a server a moment ago, if that was that it is away.
func (b *Backend) foundLately(where string) (finding, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := b.findings[where]
	return found, !found.at.IsZero() && time.Since(found.at) < findingHolds
}

func (b *Backend) found(where string, found finding) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.findings, where)
	if found.unreachable != nil || found.silent != nil {
		found.at = time.Now()
		b.findings[where] = found
	}
}

// suspected says whether another mount from a share's server has no answer, as far as is known. That a share cannot be mounted says
// nothing of those that are.
func (b *Backend) suspected(s share) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, known := range b.states {
		if key != s.key && known.share.target != "" && strings.EqualFold(known.share.server, s.server) && errors.Is(known.err, backend.ErrUnavailable) {
			return true
		}
	}
	return false
}
