package mounter

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// resolveLimit bounds the host's resolver, whose own patience is two times five seconds for each server.
const resolveLimit = 10 * time.Second

// Resolve asks getent on the host, then Go's resolver. IPv4 addresses in IPv6 form are given as IPv4.
func (l *Linux) Resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if address, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{address}, nil
	}
	if host == "" || strings.HasPrefix(host, "-") || strings.ContainsAny(host, " \t\n/") {
		return nil, asked(fmt.Errorf("%q is not a host name: %w", host, unix.EINVAL), "resolve", "", host)
	}
	output, err := l.Run(ctx, Command{Name: "getent", Args: []string{"ahosts", host}, Limit: resolveLimit})
	if err == nil && output.Code == 0 {
		if addresses := readAhosts(output.Stdout); len(addresses) > 0 {
			return addresses, nil
		}
	}
	if ctx.Err() != nil {
		return nil, asked(err, "resolve", "", host)
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, asked(fmt.Errorf("%w: neither the host (getent ahosts) nor DNS: %w", ErrNoAddress, err), "resolve", "", host)
	}
	return distinct(addresses), nil
}

// readAhosts reads the first column of `getent ahosts`, one line for each address and socket type.
func readAhosts(text string) []netip.Addr {
	var addresses []netip.Addr
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 0 {
			if address, err := netip.ParseAddr(fields[0]); err == nil {
				addresses = append(addresses, address)
			}
		}
	}
	return distinct(addresses)
}

// distinct keeps each address once, in order.
func distinct(addresses []netip.Addr) []netip.Addr {
	var result []netip.Addr
	for _, address := range addresses {
		if address = address.Unmap(); !slices.Contains(result, address) {
			result = append(result, address)
		}
	}
	return result
}
