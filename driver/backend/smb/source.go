package smb

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/backend/internal/directory"
)

const leftEmpty = "a variable was left empty, probably a ${...} of the compose file"

// source is a share as it is written in device= or share=.
type source struct {
	server, share string
	subdir        string // below the share, clean; "" for all of it
}

// device is the share as the kernel wants it.
func (s source) device() string { return "//" + s.server + "/" + s.share }

// parseSource reads //server/share[/directory], also with backslashes, single or doubled. what is the option's name, for the errors.
func parseSource(what, text string) (source, error) {
	bad := func(why string, args ...any) (source, error) {
		return source{}, fmt.Errorf("%s=%q: %w", what, text, fmt.Errorf(why, args...))
	}
	path := strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(path, "//"): // a blank as in /etc/fstab or in a shell; in a name with backslashes it would be a folder
		path = strings.NewReplacer(`\040`, " ", `\ `, " ").Replace(path)
	case strings.HasPrefix(path, `\\\\`): // as inside of quotes, where YAML and shells halve them
		path = strings.ReplaceAll(path, `\\`, `\`)
	}
	path = strings.ReplaceAll(path, `\`, "/")
	switch {
	case strings.Contains(path, "${"):
		return bad("a variable was not replaced")
	case strings.HasPrefix(path, "smb://"), strings.HasPrefix(path, "cifs://"):
		_, rest, _ := strings.Cut(path, "://")
		return bad("write it without the scheme: //%s", rest)
	case !strings.HasPrefix(path, "//"):
		return bad("a share is written //server/share[/directory]")
	case strings.HasPrefix(path, "///"), path == "//":
		return bad("the server's name is empty: %s", leftEmpty)
	}
	server, rest, slash := strings.Cut(path[2:], "/")
	share, subdir, _ := strings.Cut(rest, "/")
	switch {
	case !slash:
		return bad("the share's name is missing; write //%s/<share>", server)
	case share == "":
		return bad("the share's name is empty: %s", leftEmpty)
	}
	server, err := parseServer(server)
	if err != nil {
		return bad("%w", err)
	}
	if err := checkShare(share); err != nil {
		return bad("%w", err)
	}
	clean, err := directory.Clean(strings.TrimLeft(subdir, "/"))
	if err != nil {
		return bad("the directory %w", err)
	}
	return source{server: server, share: share, subdir: clean}, nil
}

// parseServer accepts a name, an IPv4 or an IPv6 address, the latter also in brackets.
func parseServer(text string) (string, error) {
	bare := strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	if address, err := netip.ParseAddr(bare); err == nil {
		if strings.ContainsFunc(address.Zone(), notInHostName) {
			return "", fmt.Errorf("%q is no network interface, which is what follows the %% of an address", address.Zone())
		}
		return address.String(), nil
	}
	if name, port, err := net.SplitHostPort(text); err == nil {
		if strings.Contains(name, ":") {
			name = "[" + name + "]"
		}
		return "", fmt.Errorf("a port does not belong into the server's name; write the server as %s and o=port=%s", name, port)
	}
	if user, name, ok := strings.Cut(text, "@"); ok {
		return "", fmt.Errorf("a user does not belong into the server's name; write the server as %s and o=username=%s", name, user)
	}
	if len(text) > 253 || strings.ContainsFunc(text, notInHostName) {
		return "", fmt.Errorf("%q is no host name and no address", text)
	}
	return text, nil
}

func notInHostName(r rune) bool {
	return r <= ' ' || r == 0x7f || strings.ContainsRune(`"#%&'()*+,/:;<=>?[]^{|}~$`, r)
}

// checkShare refuses what no SMB share's name may hold (MS-SRVS, share names) or the kernel's limit for it.
func checkShare(name string) error {
	switch {
	case len(name) > 80:
		return fmt.Errorf("the share's name has %d bytes; the limit is 80", len(name))
	case name != strings.TrimSpace(name):
		return fmt.Errorf("the share's name %q begins or ends with a blank", name)
	case name == "." || name == "..":
		return fmt.Errorf("%q is no share's name", name)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune(`"*:<>?|`, r) }):
		return fmt.Errorf("the share's name %q holds a character that no share's name may hold", name)
	}
	return nil
}
