package smb_test

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// given tells whether the last mount was given an option.
func (b *bench) given(option mounter.Option) bool { return slices.Contains(b.last().Options, option) }

// The kernel shows an IPv6 address with all its zeros; it is the same one.
func TestStaleShareIsReplacedOverIPv6(t *testing.T) {
	b := newBench(t)
	b.kernel.SetAddresses("nas", netip.MustParseAddr("fd00::1"))
	_, err := b.backend.Stage(t.Context(), volume("v", ""))
	assert.NilError(t, err)
	b.kernel.Fail(mountertest.OpDo, 2, syscall.ESTALE) // the first one reads the credentials
	_, err = b.backend.Stage(t.Context(), volume("v", ""))
	assert.NilError(t, err)
	assert.Equal(t, b.mounts(), 2)
	assert.Assert(t, b.given(mounter.Option{Name: "nosharesock", Flag: true}), "the old connection would bring the old mount back")
}

// mDNS gives a link-local address with the interface's name; the kernel's SMB client reads a number only.
func TestLinkLocalAddressHasANumber(t *testing.T) {
	loopback, err := net.InterfaceByName("lo")
	assert.NilError(t, err)
	for _, row := range []struct{ zone, want string }{{"lo", fmt.Sprint(loopback.Index)}, {"7", "7"}, {"none-such", "none-such"}} {
		b := newBench(t)
		b.kernel.SetAddresses("nas", netip.MustParseAddr("fe80::1%"+row.zone))
		_, err := b.backend.Stage(t.Context(), volume("v", ""))
		assert.NilError(t, err)
		assert.Assert(t, b.given(mounter.Option{Name: "ip", Value: "fe80::1%" + row.want}), "%v", b.last().Options)
	}
}
