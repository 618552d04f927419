package smb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/internal/directory"
	"github.com/homelab-storage/homelab-storage/driver/mountoption"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/internal/several"
)

// draft is a plan in the making.
type draft struct {
	request    backend.Request
	plan       backend.Plan
	options    []string
	named      string // credentials by name, from o=
	file       string // credentials file of the host, from o=
	anonymous  bool
	noPassword bool   // a password was given that is empty
	server     string // of the share; "" where a record is read
	legacy     bool   // SMB 1 is allowed
	names      lookup // of users and groups; nil where a record is read, which has numbers only
	configured bool   // the options being read are those of the configuration, which a volume's own override
	// sharedDomain says that the domain is one of those.
	sharedDomain bool
}

func (d *draft) warn(format string, args ...any) {
	d.plan.Warnings = append(d.plan.Warnings, fmt.Sprintf(format, args...))
}

// Plan completes and checks a request: which share, as whom, with which options. It asks neither the server nor the
// network; it reads a credentials file of the host when o=credentials=/path names one, and asks the host for the numbers of users
// and groups that o= names.
func (b *Backend) Plan(ctx context.Context, request backend.Request) (backend.Plan, error) {
	current := b.settings.Current()
	d := &draft{request: request, names: b.onHost(ctx), plan: backend.Plan{
		Location: request.Location, Username: request.Username, Domain: request.Domain, Password: request.Password,
	}}
	fill(&d.plan.Location, current.Defaults.Mode)
	var problems *multierror.Error
	share, err := chooseShare(current, request)
	problems = several.Append(problems, err...)
	problems = several.Append(problems, d.place(share)...)
	d.server, d.legacy = share.server, allowsSMB1(current, share)
	problems = several.Append(problems, d.read(share)...)
	d.options = slices.DeleteFunc(d.options, func(option string) bool { return option == "vers=" })
	if problems.ErrorOrNil() == nil { // who logs in can be told only when everything was understood
		problems = several.Append(problems, b.login(ctx, d, share, current)...)
	}
	d.plan.Location.MountOptions = d.options
	if err := problems.ErrorOrNil(); err != nil {
		return backend.Plan{}, err
	}
	return d.plan, nil
}

// chosen is the share that a request means.
type chosen struct {
	source
	configuration settings.Share // empty unless it is a named one
}

// chooseShare finds the share: device=//server/share, share=//server/share, a configured name, or SMB_SERVER's share.
func chooseShare(current *settings.Settings, request backend.Request) (chosen, []error) {
	what, text := "device", request.Device
	if text == "" {
		what, text = "share", request.Share
	}
	if text == "" {
		return chosen{}, []error{fmt.Errorf("a share is missing: give device=//server/share[/directory] or share=<name>; %s", configuredShares(current))}
	}
	if what == "device" || strings.HasPrefix(text, "/") || strings.ContainsAny(text, `\:`) {
		found, err := parseSource(what, text)
		return chosen{source: found}, list(err)
	}
	return chooseNamed(current, text)
}

// chooseNamed finds share=name[/directory].
func chooseNamed(current *settings.Settings, text string) (chosen, []error) {
	name, below, _ := strings.Cut(text, "/")
	if share, ok := current.ShareNamed(name); ok {
		found, err := parseSource("the configuration's share "+name+": device", share.Device)
		if err != nil {
			return chosen{}, list(err)
		}
		found.subdir, err = join(found.subdir, below)
		return chosen{source: found, configuration: share}, list(err)
	}
	if current.Server == "" {
		return chosen{}, list(fmt.Errorf("share=%q: %w: %s; write share=//server/%s, or set SMB_SERVER", text, backend.ErrNotConfigured, configuredShares(current), text))
	}
	found, err := parseSource("share", "//"+current.Server+"/"+text)
	return chosen{source: found}, list(err)
}

func configuredShares(current *settings.Settings) string {
	var names []string
	for _, share := range current.Shares {
		names = append(names, share.Name)
	}
	if len(names) == 0 {
		return "no share is configured by name"
	}
	return "the configured shares are " + strings.Join(names, ", ")
}

// place sets device and directory.
func (d *draft) place(share chosen) []error {
	if d.plan.Location.Pool != "" {
		return list(fmt.Errorf("option pool=%q is for OCFS2; a volume on a share has none", d.plan.Location.Pool))
	}
	subdir, err := join(share.subdir, d.plan.Location.Subdir)
	if err != nil {
		return list(fmt.Errorf("option subdir=%q %w", d.plan.Location.Subdir, err))
	}
	d.plan.Location.Device, d.plan.Location.Subdir = share.device(), subdir
	return nil
}

func join(above, below string) (string, error) {
	clean, err := directory.Clean(below)
	if err != nil {
		return "", err
	}
	return directory.Clean(strings.Trim(above+"/"+clean, "/"))
}

// read takes the options of the configuration, then those of the volume, which win.
func (d *draft) read(share chosen) []error {
	d.configured = true
	var problems []error
	for _, option := range share.configuration.Options {
		for _, err := range d.take(mountoption.Split(option)) {
			problems = append(problems, fmt.Errorf("the configuration's share %s: %w", share.configuration.Name, err))
		}
	}
	d.configured = false
	guest := d.anonymous
	d.anonymous = false
	problems = append(problems, d.take(mountoption.Split(d.request.Options))...)
	if !d.anonymous && guest { // a login of the volume wins, too
		d.anonymous = !d.noPassword && len(d.given()) == 0
	}
	return problems
}

func list(err error) []error {
	if err == nil {
		return nil
	}
	return []error{err}
}
