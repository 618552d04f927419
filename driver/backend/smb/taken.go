package smb

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/mountoption"
)

// taken are the options of o= that become something else than an option of the kernel.
//
//nolint:gochecknoglobals // a table
var taken = map[string]func(*draft, mountoption.Part) error{
	"username": (*draft).username, "user": (*draft).username,
	"password": (*draft).password, "pass": (*draft).password,
	"password2": refused(secondPassword), "pass2": refused(secondPassword),
	"passwd": refused("write password=..."), "pwd": refused("write password=..."),
	"domain": (*draft).domain, "dom": (*draft).domain, "workgroup": (*draft).domain,
	"credentials": (*draft).credentials, "cred": (*draft).credentials,
	"uid": (*draft).uid, "gid": (*draft).gid,
	"cruid": (*draft).user, "backupuid": (*draft).user, "backupgid": (*draft).group,
	"dir_mode": (*draft).dirMode, "dirmode": (*draft).dirMode, "mode": (*draft).dirMode, "dmask": refused("it is an option of other file systems; write dir_mode=0770"),
	"file_mode": (*draft).fileMode, "fmask": refused("it is an option of other file systems; write file_mode=0660"),
	"umask":    refused("it is an option of other file systems; write dir_mode=0770,file_mode=0660"),
	"snapshot": (*draft).snapshot,
	"vers":     (*draft).dialect, "ver": (*draft).dialect,
	"sec": (*draft).security, "guest": (*draft).guest,
	"ip": (*draft).address, "addr": (*draft).address,
	"ro": (*draft).readOnly, "rw": (*draft).writable,
	"context": (*draft).label, "fscontext": (*draft).label, "defcontext": (*draft).label, "rootcontext": (*draft).label,
}

const secondPassword = "a second password is not supported; store the new one with `docker homelab credentials rotate`"

func refused(why string) func(*draft, mountoption.Part) error {
	return func(_ *draft, part mountoption.Part) error { return fmt.Errorf("o: option %s: %s", part.Name, why) }
}

// problem names an option and its value; never use it for a password.
func problem(part mountoption.Part, why string, args ...any) error {
	return fmt.Errorf("o: option %s=%q %s", part.Name, part.Value, fmt.Sprintf(why, args...))
}

func (d *draft) readOnly(mountoption.Part) error {
	d.plan.Location.ReadOnly = true
	return nil
}

// writable takes ro back, as in mount(8), unless the volume's own option says it.
func (d *draft) writable(mountoption.Part) error {
	d.plan.Location.ReadOnly = d.plan.Location.ReadOnly && d.request.Explicit["ro"]
	return nil
}

// label is an option of SELinux. Its quotes, which are for mount(8), are no part of it.
func (d *draft) label(part mountoption.Part) error {
	value := strings.Trim(part.Value, `"'`)
	if !text.MatchString(value) {
		return problem(part, "must be a text")
	}
	d.options = keep(d.options, part.Name+"="+value)
	return nil
}

// take checks one list of options and takes them into the draft. What follows a password and is no option may be the rest
// of a password whose comma was not doubled: it is not shown.
func (d *draft) take(parts []mountoption.Part) []error {
	var problems []error
	secret := false
	for _, part := range parts {
		if mountoption.HoldsPassword(part) {
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
	case !mountoption.HoldsPassword(part) && strings.Contains(part.Value, "${"):
		return problem(part, "holds a variable that was not replaced")
	case isSpecial:
		return special(d, part)
	}
	return d.takeByRule(part)
}

// mayBeEmpty are options that say something, or are left out, with an empty value.
func mayBeEmpty(name string) bool {
	return name == "domain" || name == "dom" || name == "workgroup" || name == "password" || name == "pass"
}

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
	case r.value != nil && (!r.value.MatchString(part.Value) || !r.within(part.Value)):
		return problem(part, "must be %s", r.hint)
	case r.value == nil && part.Valued && !r.drop:
		return problem(part, "takes no value")
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
