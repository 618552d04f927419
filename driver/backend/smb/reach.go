package smb

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// probeLimit is how long a server may take to accept a connection; the kernel itself would try for 5 s and more (FACTS 4).
const probeLimit = 2 * time.Second

// reach finds an address of the server that accepts connections, all of them tried at once.
func (b *Backend) reach(ctx context.Context, s share) (string, error) {
	addresses, err := b.addresses(ctx, s)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	type answer struct {
		address string
		err     error
	}
	answers := make(chan answer, len(addresses))
	for _, address := range addresses {
		go func() { answers <- answer{address.String(), b.probe(ctx, address, s.port)} }()
	}
	var worst error
	for range addresses {
		got := <-answers
		if got.err == nil {
			return got.address, nil
		}
		if worst == nil || telling(got.err) > telling(worst) {
			worst = got.err
		}
	}
	return "", b.explainReach(s, addresses, worst)
}

func (b *Backend) addresses(ctx context.Context, s share) ([]netip.Addr, error) {
	host := cmp.Or(s.address, s.server)
	addresses, err := b.kernel.Resolve(ctx, host)
	if err != nil || len(addresses) == 0 {
		return nil, &backend.Failure{Away: true, Err: err, Text: s.device + ": the name " + host +
			" is not known to this host: check it with `getent ahosts " + host + "`, or write the server's address"}
	}
	return addresses, nil
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
