package smb

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/mounter"
)

const (
	// probeLimit is how long a server may take to accept a connection; the kernel itself would try for 5 s and more (FACTS 4).
	probeLimit = 2 * time.Second
	// headStart is how long a server's best address may be slower than another one, as in RFC 8305: shares of one server have one
	// connection only when they are mounted from one address.
	headStart = 250 * time.Millisecond
	// resolveLimit is how long the host may take for a name: a resolver whose first server is dead asks the second one after 5 s
	// (resolv.conf(5)).
	resolveLimit = 5500 * time.Millisecond
)

// reach finds an address of the server that accepts connections.
func (b *Backend) reach(ctx context.Context, s share) (netip.Addr, error) {
	addresses, err := b.addresses(ctx, s)
	if err != nil {
		return netip.Addr{}, err
	}
	b.mu.Lock()
	best := b.answered[strings.ToLower(s.server)]
	b.mu.Unlock()
	if !slices.Contains(addresses, best) {
		best = addresses[0]
	}
	address, err := b.race(ctx, addresses, best, s.port, headStart)
	if err != nil {
		return netip.Addr{}, b.explainReach(s, addresses, err)
	}
	return address, nil
}

// race tries the addresses, all at once. The best of them wins when it accepts a connection at most a head start
// after the first; the error is the one that says most.
func (b *Backend) race(ctx context.Context, addresses []netip.Addr, best netip.Addr, port string, start time.Duration) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	answers := make(chan answer, len(addresses))
	for _, address := range addresses {
		go func() { answers <- answer{address, b.probe(ctx, address, port)} }()
	}
	contest := contest{best: best}
	var late <-chan time.Time
	for range addresses {
		select {
		case got := <-answers:
			if contest.take(got) {
				return contest.winner, nil
			}
			if late == nil && contest.winner.IsValid() {
				late = time.After(start)
			}
		case <-late:
			return contest.winner, nil
		}
	}
	if contest.winner.IsValid() {
		return contest.winner, nil
	}
	return netip.Addr{}, contest.worst
}

// answer is what came of a connection.
type answer struct {
	address netip.Addr
	err     error
}

// contest is a race of connections.
type contest struct {
	best, winner netip.Addr
	bestFailed   bool
	worst        error
}

// take says whether the winner is sure.
func (c *contest) take(got answer) bool {
	if got.err != nil {
		c.bestFailed = c.bestFailed || got.address == c.best
		if c.worst == nil || telling(got.err) > telling(c.worst) {
			c.worst = got.err
		}
	} else if got.address == c.best || !c.winner.IsValid() {
		c.winner = got.address
	}
	return c.winner.IsValid() && (c.winner == c.best || c.bestFailed)
}

func (b *Backend) addresses(ctx context.Context, s share) ([]netip.Addr, error) {
	host := cmp.Or(s.address, s.server)
	limited, cancel := context.WithTimeout(ctx, resolveLimit)
	defer cancel()
	addresses, err := b.kernel.Resolve(limited, host)
	switch {
	case err == nil && len(addresses) > 0:
		for i := range addresses {
			addresses[i] = numbered(addresses[i])
		}
		return addresses, nil
	case errors.Is(err, mounter.ErrStuck) || errors.Is(err, mounter.ErrBusy) || errors.Is(err, context.DeadlineExceeded):
		return nil, &backend.Failure{Away: true, Err: err, Text: s.device + ": no name server has told this host the address of " + host +
			" within 5.5 s: check its /etc/resolv.conf, or write the server's address"}
	}
	return nil, &backend.Failure{Away: true, Err: err, Text: s.device + ": the name " + host +
		" is not known to this host: check it with `getent ahosts " + host + "`, or write the server's address"}
}

// numbered gives a link-local address its interface's number: mDNS says fe80::1%eth0, but the kernel's SMB client reads nothing but a
// number there (fs/smb/client/netmisc.c, cifs_convert_address).
func numbered(address netip.Addr) netip.Addr {
	if device, err := net.InterfaceByName(address.Zone()); err == nil {
		return address.WithZone(strconv.Itoa(device.Index))
	}
	return address
}

func (b *Backend) probe(ctx context.Context, address netip.Addr, port string) error {
	connection, err := b.dial(ctx, "tcp", net.JoinHostPort(address.String(), port))
	if err != nil {
		return err
	}
	return connection.Close()
}

// telling ranks the failures of several addresses: a refusal says more than silence.
func telling(err error) int {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return 3
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return 2
	}
	return 1
}

func (b *Backend) explainReach(s share, addresses []netip.Addr, err error) error {
	var shown []string
	for _, address := range addresses {
		shown = append(shown, address.String())
	}
	server := s.server
	if len(shown) > 1 || shown[0] != server {
		server += " (" + strings.Join(shown, ", ") + ")"
	}
	text := s.device + ": the server " + server
	switch telling(err) {
	case 3:
		text += " refuses connections to port " + s.port + ": start its SMB service"
	case 2:
		text += " cannot be reached: is it switched on, and is this node in its network?"
	default:
		text += " does not answer on port " + s.port + " within 2 s: it is off, or a firewall drops the connection"
	}
	return &backend.Failure{Away: true, Err: err, Text: text}
}
