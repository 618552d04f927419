package smb

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/mountoption"
	"github.com/homelab-storage/homelab-storage/driver/settings"
)

// smb1 is the dialect that only a share's configuration can allow.
const smb1 = "1.0"

// dialect accepts what the kernel does, in its spelling.
func (d *draft) dialect(part mountoption.Part) error {
	spelled := map[string]string{
		"3": "", "default": "", "3.1.1": "3.1.1", "3.11": "3.1.1", "3.02": "3.02", "3.0.2": "3.02", "3.0": "3.0", "3.00": "3.0",
		"2.1": "2.1", "2.10": "2.1", "2.0": "2.0", "2": "2.0", "2.002": "2.0", "2.02": "2.0", smb1: smb1, "1": smb1,
	}
	version, ok := spelled[part.Value]
	switch {
	case version == smb1 && !d.legacy:
		return problem(part, "is refused: SMB 1 is insecure and slow; let the server offer SMB 3 and leave the option out. For a server that "+
			"cannot, allow it in config.yaml: shares: [{name: ..., device: //server/share, options: [vers=1.0]}]")
	case !ok:
		return problem(part, "is no dialect: use 3.1.1, 3.0, 2.1, or leave it out for the newest")
	case version == smb1:
		d.warn("o: option vers=1.0: SMB 1 is insecure and slow; the configuration allows it for this share")
	case version == "2.0" || version == "2.1":
		d.warn("o: option vers=%s: SMB 2 has no encryption and weaker signatures; prefer 3.0 or newer", version)
	}
	d.options = keep(d.options, "vers="+version)
	return nil
}

// allowsSMB1 says whether the configuration names the share, whatever the volume calls it, with vers=1.0.
func allowsSMB1(current *settings.Settings, share chosen) bool {
	return slices.ContainsFunc(current.Shares, func(one settings.Share) bool {
		named, err := parseSource("device", one.Device)
		return err == nil && strings.EqualFold(named.device(), share.device()) && slices.ContainsFunc(one.Options, asksForSMB1)
	})
}

// allowed refuses SMB 1 for a share whose configuration does not allow it, or does not any more: the record alone is not trusted.
func (b *Backend) allowed(s share) error {
	if !slices.Contains(s.versions, smb1) || allowsSMB1(b.settings.Current(), chosen{source: source{server: s.server, share: s.name}}) {
		return nil
	}
	return &backend.Failure{Text: s.device + ": the volume was made with vers=1.0, which the configuration does not allow for this share: SMB 1 is " +
		"insecure and slow. Let the server offer SMB 3 and make the volume again, or put the share with options: [vers=1.0] into config.yaml"}
}

func asksForSMB1(options string) bool {
	return slices.ContainsFunc(mountoption.Split(options), func(part mountoption.Part) bool {
		return part.Name == "vers" && (part.Value == smb1 || part.Value == "1")
	})
}

func (d *draft) security(part mountoption.Part) error {
	switch part.Value {
	case "ntlm", "ntlmi", "lanman", "lanmani":
		return problem(part, "is refused: this login is insecure and was removed from the kernel; leave it out (ntlmssp)")
	case "krb5p":
		return problem(part, "is refused: the kernel's SMB client has no such login; write sec=krb5,seal")
	case "none":
		return d.guest(part)
	case "ntlmssp", "ntlmsspi", "ntlmv2", "ntlmv2i", "krb5", "krb5i":
		d.options = keep(d.options, "sec="+part.Value)
		return nil
	}
	return problem(part, "is unknown: use ntlmssp, ntlmsspi, ntlmv2, ntlmv2i, krb5, krb5i or none")
}

// address is where the server is. Docker's local driver takes a name too, which is most often the server's own.
func (d *draft) address(part mountoption.Part) error {
	address, err := parseServer(part.Value)
	if err != nil {
		return problem(part, "must be an IPv4 or IPv6 address, or a host name")
	}
	if strings.EqualFold(address, d.server) {
		return nil
	}
	d.options = keep(d.options, "ip="+address)
	return nil
}

// snapshot takes the time of a shadow copy as Windows and mount.cifs write it; the kernel wants units of 100 ns since 1601
// (MS-DTYP, FILETIME).
func (d *draft) snapshot(part mountoption.Part) error {
	value := part.Value
	if when, err := time.Parse("@GMT-2006.01.02-15.04.05", value); err == nil {
		const secondsFrom1601 = 11644473600
		value = fmt.Sprint((when.Unix() + secondsFrom1601) * 1e7)
	}
	if !long.MatchString(value) {
		return problem(part, "must be a number, or a time as @GMT-2026.03.01-12.00.00")
	}
	d.options = keep(d.options, "snapshot="+value)
	return nil
}
