package smb

import (
	"context"
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/homelab-storage/homelab-storage/mounter"
)

// A share's first mount is at <root>/<key>; one that replaces a stale mount is beside it, at <root>/<key>.2, and so on. The newest
// is the one in use; an older one goes when no volume is bound to it.

// found is a share's newest mount; target is "" when it has none.
type found struct {
	target, device string
	address        string // of its server, as the mount table has it
}

// find looks the share up in the mount table, which alone knows.
func (b *Backend) find(ctx context.Context, s share) (found, error) {
	table, err := b.kernel.Table(ctx, mounter.Plugin)
	if err != nil {
		return found{}, fmt.Errorf("read the mount table: %w", err)
	}
	var newest found
	last := 0
	for _, mount := range table {
		key, number := b.place(mount.Target)
		if key != s.key {
			continue
		}
		if mount.FSType != "cifs" || !strings.EqualFold(strings.ReplaceAll(mount.Source, `\`, "/"), s.device) {
			return found{}, fmt.Errorf("%s is mounted at %s, a place of %s: unmount it there", mount.Source, mount.Target, s.device)
		}
		if number > last {
			newest, last = found{target: mount.Target, device: mount.Device, address: addressOf(mount)}, number
		}
	}
	return newest, nil
}

// place tells the key and the number of a target; the key is "" when it is no place of a share.
func (b *Backend) place(target string) (key string, number int) {
	if path.Dir(target) != b.root {
		return "", 0
	}
	key, text, numbered := strings.Cut(path.Base(target), ".")
	if !numbered {
		return key, 1
	}
	if number, err := strconv.Atoi(text); err == nil && number > 1 {
		return key, number
	}
	return "", 0
}

// following is the place for the mount that replaces one.
func (b *Backend) following(target string) string {
	key, number := b.place(target)
	return path.Join(b.root, fmt.Sprintf("%s.%d", key, number+1))
}

// addressOf is the server's address that the kernel shows among a mount's options, in the form of [netip.Addr.String]: the kernel
// writes an IPv6 address with all its zeros.
func addressOf(mount mounter.Mount) string {
	for option := range strings.SplitSeq(mount.SuperOptions, ",") {
		if text, ok := strings.CutPrefix(option, "addr="); ok {
			if address, err := netip.ParseAddr(text); err == nil {
				return address.String()
			}
			return text
		}
	}
	return ""
}
