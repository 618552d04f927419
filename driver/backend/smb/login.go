package smb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/driver/mountoption"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
)

const inlineWarning = "user and password are written in the volume's options, where everybody who may use the engine reads them; better: `docker homelab credentials set NAME --username USER`, then credentials=NAME"

// guestUser is the user that people name, with an empty password, for a share without login.
const guestUser = "guest"

func (d *draft) username(part mountoption.Part) error {
	if !part.Valued { // mount(8)'s "user": who may mount
		return nil
	}
	if strings.Contains(part.Value, "%") {
		return fmt.Errorf("o: option %s holds a %q: a password is written password=..., not behind the name", part.Name, "%")
	}
	d.quoted(part)
	domain, user := credential.SplitUser(part.Value)
	d.plan.Username, d.plan.Domain = user, cmp.Or(domain, d.plan.Domain)
	return nil
}

// quoted warns of quotes around a value: the kernel and mount.cifs take them for a part of it, and so do we.
func (d *draft) quoted(part mountoption.Part) {
	if n := len(part.Value); n > 1 && (part.Value[0] == '"' || part.Value[0] == '\'') && part.Value[n-1] == part.Value[0] {
		d.warn("o: option %s is written in quotes, which are taken as a part of it", part.Name)
	}
}

func (d *draft) password(part mountoption.Part) error {
	if len(part.Value) > credential.MaxPassword {
		return fmt.Errorf("o: option password has %d bytes; the kernel takes at most %d", len(part.Value), credential.MaxPassword)
	}
	d.quoted(part)
	d.plan.Password, d.noPassword = mounter.NewSecret(part.Value), part.Value == ""
	return nil
}

func (d *draft) domain(part mountoption.Part) error {
	if part.Value == "" { // SMB_DOMAIN is often meant to be empty, and mount.cifs accepts it
		d.warn("o: option %s is empty and was left out", part.Name)
		return nil
	}
	d.quoted(part)
	d.plan.Domain, d.sharedDomain = part.Value, d.configured
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

// nobody is the kernel's own word for a login without a user; it ignores guest, which mount.cifs reads. Another sec= beside guest says how
// nobody logs in, which means nothing.
const nobody = "sec=none"

func (d *draft) guest(mountoption.Part) error {
	d.anonymous = true
	return nil
}

// login decides who logs in: the volume's own user or credentials, else those of the share, else SMB_CREDENTIALS.
func (b *Backend) login(ctx context.Context, d *draft, share chosen, current *settings.Settings) []error {
	d.nameless()
	given := d.given()
	if len(given) > 1 {
		return list(fmt.Errorf("%s contradict each other: each says who logs in; write one of them", strings.Join(given, " and ")))
	}
	switch {
	case d.anonymous:
		d.options = keep(d.options, nobody)
		d.plan.Location.Credentials, d.plan.Username, d.plan.Domain = "", "", ""
		return nil
	case d.file != "":
		return list(b.readFile(ctx, d))
	case d.plan.Username != "" || !d.plan.Password.IsZero() || d.noPassword:
		return list(d.inline())
	}
	name := cmp.Or(d.named, d.plan.Location.Credentials, share.configuration.Credentials, current.Credentials)
	if name == "" {
		return list(errors.New("the share is given no user and password: give credentials=<name> (`docker homelab credentials set NAME --username USER`), set SMB_CREDENTIALS, or write o=guest for a share without login"))
	}
	d.plan.Location.Credentials = name
	return append(list(credential.CheckName(name)), list(d.misplacedDomain(name))...)
}

// misplacedDomain is about a domain beside credentials, which have their own.
func (d *draft) misplacedDomain(name string) error {
	if d.plan.Domain == "" {
		return nil
	}
	problem := fmt.Errorf("option domain=%q has no effect beside the credentials %q, which have their own: leave it out, and store it with them: "+
		"`docker homelab credentials set %[2]s --username USER --domain DOMAIN`", d.plan.Domain, name)
	if d.sharedDomain {
		d.warn("the configuration: %v", problem)
		return nil
	}
	return problem
}

// nameless takes the user "guest" with an empty password for what it means, and drops the user that somebody wrote beside guest.
func (d *draft) nameless() {
	if !d.plan.Password.IsZero() || d.plan.Username == "" {
		return
	}
	if d.noPassword && strings.EqualFold(d.plan.Username, guestUser) && !d.anonymous {
		d.anonymous = true
	}
	if d.anonymous {
		d.warn("o: option guest: the share is used without login; the user %q was left out", d.plan.Username)
		d.plan.Username = ""
	}
}

// given are the ways in which the volume itself says who logs in.
func (d *draft) given() []string {
	var ways []string
	for _, way := range []struct {
		set  bool
		name string
	}{
		{d.request.Explicit["credentials"] && d.plan.Location.Credentials != d.named, "option credentials"},
		{d.named != "" || d.file != "", "o=credentials"},
		{d.plan.Username != "" || !d.plan.Password.IsZero(), "username and password"},
		{d.anonymous, "guest"},
	} {
		if way.set {
			ways = append(ways, way.name)
		}
	}
	return ways
}

// inline checks a user that is written in the options.
func (d *draft) inline() error {
	found := credential.Credentials{Username: d.plan.Username, Domain: d.plan.Domain, Password: d.plan.Password}
	switch {
	case d.noPassword:
		return fmt.Errorf("o: option password is empty: %s; for a share without login write o=guest", leftEmpty)
	case found.Password.IsZero():
		return fmt.Errorf("username=%q has no password: add password=..., or write o=guest for a share without login", found.Username)
	case found.Username == "":
		return errors.New("a password is given without username")
	}
	d.warn(inlineWarning)
	d.plan.Location.Credentials = ""
	return found.Check()
}

// readFile reads the credentials file of o=, which the kernel would ignore.
func (b *Backend) readFile(ctx context.Context, d *draft) error {
	var found credential.Credentials
	err := b.kernel.Do(ctx, "credentials file", func() (err error) {
		found, err = credential.ReadFile(b.kernel.HostPath(d.file), d.file)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("o: option credentials=%q: there is no such file on this node", d.file)
	}
	if err != nil {
		return fmt.Errorf("o: option credentials: %w", err)
	}
	d.plan.Username, d.plan.Password = found.Username, found.Password
	if found.Domain != "" {
		d.plan.Domain = found.Domain
	}
	d.plan.Location.Credentials = ""
	d.warn("o: option credentials: the file %s was read now and is kept with the volume; later changes of it do not count", d.file)
	return nil
}
