package smb

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/driver/mountoption"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// taken are the options of o= that become something else than an option of the kernel.
//
//nolint:gochecknoglobals // a table
var taken = map[string]func(*draft, mountoption.Part) error{
	"username": (*draft).username, "user": (*draft).username,
	"password": (*draft).password, "pass": (*draft).password,
	"password2": refused("a second password is not supported; store the new one with `docker homelab credentials`"),
	"domain":    (*draft).domain, "dom": (*draft).domain, "workgroup": (*draft).domain,
	"credentials": (*draft).credentials, "cred": (*draft).credentials,
	"uid": (*draft).uid, "gid": (*draft).gid,
	"dir_mode": (*draft).dirMode, "dirmode": (*draft).dirMode, "mode": (*draft).dirMode,
	"file_mode": (*draft).fileMode,
	"vers":      (*draft).dialect, "ver": (*draft).dialect,
	"sec": (*draft).security, "guest": (*draft).guest,
	"ip": (*draft).address, "addr": (*draft).address,
	"ro": (*draft).readOnly,
}

func refused(why string) func(*draft, mountoption.Part) error {
	return func(_ *draft, part mountoption.Part) error { return fmt.Errorf("o: option %s: %s", part.Name, why) }
}

// problem names an option and its value; never use it for a password.
func problem(part mountoption.Part, why string, args ...any) error {
	return fmt.Errorf("o: option %s=%q %s", part.Name, part.Value, fmt.Sprintf(why, args...))
}

func (d *draft) username(part mountoption.Part) error {
	if !part.Valued { // mount(8)'s "user": who may mount
		return nil
	}
	if strings.Contains(part.Value, "%") {
		return fmt.Errorf("o: option %s holds a %q: a password is written password=..., not behind the name", part.Name, "%")
	}
	if domain, user := credential.SplitUser(part.Value); domain != "" {
		d.plan.Domain, part.Value = domain, user
	}
	d.plan.Username = part.Value
	return nil
}

func (d *draft) password(part mountoption.Part) error {
	if len(part.Value) > 255 {
		return fmt.Errorf("o: option password has %d bytes; the kernel takes at most 255", len(part.Value))
	}
	d.plan.Password = mounter.NewSecret(part.Value)
	return nil
}

func (d *draft) domain(part mountoption.Part) error {
	if part.Value == "" { // SMB_DOMAIN is often meant to be empty, and mount.cifs accepts it
		d.warn("o: option %s is empty and was left out", part.Name)
		return nil
	}
	d.plan.Domain = part.Value
	return nil
}

// credentials are a path of the host, read now and kept like inline ones, or a name.
func (d *draft) credentials(part mountoption.Part) error {
	if !strings.Contains(part.Value, "/") {
		if err := credential.CheckName(part.Value); err != nil {
			return fmt.Errorf("o: %w", err)
		}
		d.named = part.Value
		return nil
	}
	if !path.IsAbs(part.Value) {
		return problem(part, "must be an absolute path of this host, or a name without %q", "/")
	}
	d.file = path.Clean(part.Value)
	return nil
}

func (d *draft) uid(part mountoption.Part) error {
	return d.owner(part, "uid", &d.plan.Location.UID)
}

func (d *draft) gid(part mountoption.Part) error {
	return d.owner(part, "gid", &d.plan.Location.GID)
}

func (d *draft) owner(part mountoption.Part, option string, field *uint32) error {
	id, err := strconv.ParseUint(part.Value, 10, 32)
	if err != nil || id == 1<<32-1 {
		return problem(part, "must be a number from 0 to 4294967294; names of users and groups differ between nodes")
	}
	if d.request.Explicit[option] && !d.configured && *field != uint32(id) {
		return fmt.Errorf("options %s=%d and o=%s=%d contradict each other; write one of them", option, *field, option, id)
	}
	if !d.request.Explicit[option] {
		*field = uint32(id)
	}
	return nil
}

func (d *draft) dirMode(part mountoption.Part) error {
	mode, err := octal(part)
	if err != nil {
		return err
	}
	if d.request.Explicit["mode"] && !d.configured && d.plan.Location.Mode != mode {
		return fmt.Errorf("options mode=%04o and o=%s=%04o contradict each other; write one of them", d.plan.Location.Mode, part.Name, mode)
	}
	if !d.request.Explicit["mode"] {
		d.plan.Location.Mode = mode
	}
	return nil
}

func (d *draft) fileMode(part mountoption.Part) (err error) {
	d.plan.Location.FileMode, err = octal(part)
	return err
}

func octal(part mountoption.Part) (fs.FileMode, error) {
	mode, err := strconv.ParseUint(part.Value, 8, 32)
	if err != nil || mode > 0o7777 {
		return 0, problem(part, "must be octal permissions, for example 0770")
	}
	return fs.FileMode(mode), nil
}

// dialect accepts what the kernel does, in its spelling, but for SMB 1.
func (d *draft) dialect(part mountoption.Part) error {
	spelled := map[string]string{
		"3": "", "default": "", "3.1.1": "3.1.1", "3.11": "3.1.1", "3.02": "3.02", "3.0.2": "3.02", "3.0": "3.0", "3.00": "3.0",
		"2.1": "2.1", "2.10": "2.1", "2.0": "2.0", "2": "2.0", "2.002": "2.0", "2.02": "2.0",
	}
	version, ok := spelled[part.Value]
	switch {
	case part.Value == "1.0" || part.Value == "1":
		return problem(part, "is refused: SMB 1 is insecure and slow; let the server offer SMB 3 and leave the option out")
	case !ok:
		return problem(part, "is no dialect: use 3.1.1, 3.0, 2.1, or leave it out for the newest")
	case version == "2.0" || version == "2.1":
		d.warn("o: option vers=%s: SMB 2 has no encryption and weaker signatures; prefer 3.0 or newer", version)
	}
	d.options = keep(d.options, "vers="+version)
	return nil
}

func (d *draft) security(part mountoption.Part) error {
	switch part.Value {
	case "ntlm", "ntlmi", "lanman", "lanmani":
		return problem(part, "is refused: this login is insecure and was removed from the kernel; leave it out (ntlmssp)")
	case "none":
		return d.guest(part)
	case "ntlmssp", "ntlmsspi", "ntlmv2", "ntlmv2i", "krb5", "krb5i":
		d.options = keep(d.options, "sec="+part.Value)
		return nil
	}
	return problem(part, "is unknown: use ntlmssp, ntlmsspi, ntlmv2, ntlmv2i, krb5, krb5i or none")
}

// guest logs in without a user. The kernel's own word for it is sec=none.
func (d *draft) guest(mountoption.Part) error {
	d.options, d.anonymous = keep(d.options, "sec=none"), true
	return nil
}

func (d *draft) address(part mountoption.Part) error {
	address, err := netip.ParseAddr(part.Value)
	if err != nil {
		return problem(part, "must be an IPv4 or IPv6 address")
	}
	d.options = keep(d.options, "ip="+address.String())
	return nil
}

func (d *draft) readOnly(mountoption.Part) error {
	d.plan.Location.ReadOnly = true
	return nil
}

// take checks one list of options and takes them into the draft. What follows a password and is no option may be the rest
// of a password whose comma was not doubled: it is not shown.
func (d *draft) take(parts []mountoption.Part) []error {
	var problems []error
	secret := false
	for _, part := range parts {
		if mountoption.IsPassword(part.Name) {
			secret = true
		} else if mountoption.Known(part.Name) {
			secret = false
		} else if secret {
			problems = append(problems, errors.New("o: what follows the password is no option: inside a password a comma is written twice (,,)"))
			continue
		}
		if err := d.takeOne(part); err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}

func (d *draft) takeOne(part mountoption.Part) error {
	special, isSpecial := taken[part.Name]
	switch {
	case strings.HasPrefix(part.Name, "x-"), strings.HasPrefix(part.Name, "comment"):
		return nil
	case part.Name == "":
		return errors.New(`o: an option's name before "=" is missing: ` + leftEmpty)
	case part.Valued && part.Value == "" && (!isSpecial || !mayBeEmpty(part.Name)):
		return fmt.Errorf("o: option %s is empty: %s", part.Name, leftEmpty)
	case !mountoption.IsPassword(part.Name) && strings.Contains(part.Value, "${"):
		return problem(part, "holds a variable that was not replaced")
	case isSpecial:
		return special(d, part)
	}
	return d.takeByRule(part)
}

func mayBeEmpty(name string) bool { return name == "domain" || name == "dom" || name == "workgroup" }

func (d *draft) takeByRule(part mountoption.Part) error {
	rule, ok := ruleOf[part.Name]
	if !ok {
		return unknown(part.Name)
	}
	if err := rule.check(part); err != nil {
		return err
	}
	if rule.warn != "" {
		d.warn("o: option %s: %s", part.Name, rule.warn)
	}
	if rule.drop {
		return nil
	}
	option := part.Name
	if rule.as != "" {
		option = rule.as
	}
	if part.Valued {
		option += "=" + part.Value
	}
	d.options = keep(d.options, option)
	return nil
}

// check refuses a part that its rule does not allow.
func (r rule) check(part mountoption.Part) error {
	switch {
	case r.refuse != "":
		return fmt.Errorf("o: option %s is refused: %s", part.Name, r.refuse)
	case r.value != nil && !r.value.MatchString(part.Value):
		return problem(part, "must be %s", r.hint)
	case r.value == nil && part.Valued && !r.drop:
		return problem(part, "takes no value")
	case part.Name == "port" && !inRange(part.Value, 65535):
		return problem(part, "must be a port number, 1 to 65535")
	}
	return nil
}

// fill is what a location must have before it is recorded.
func fill(location *backend.Location, defaultMode fs.FileMode) {
	location.Kind = backend.CIFS
	if location.Mode == 0 {
		location.Mode = defaultMode
	}
}
