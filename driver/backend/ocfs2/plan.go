package ocfs2

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/internal/directory"
	"github.com/homelab-storage/homelab-storage/driver/mountoption"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/internal/several"
)

const standaloneWarning = "the data is on this node only: another node will not find it, and no cluster protects it (STANDALONE=true)"

// Plan finds the pool and checks the directory.
func (b *Backend) Plan(_ context.Context, request backend.Request) (backend.Plan, error) {
	var problems *multierror.Error
	plan := backend.Plan{Location: request.Location}
	plan.Location.Kind = backend.OCFS2
	pool, subdir, err := b.place(request)
	problems = several.Append(problems, list(err)...)
	if err == nil {
		plan.Location.Pool, plan.Location.Standalone = pool.Name, pool.Standalone
		plan.Location.Subdir, err = checkSubdir(request, pool, subdir)
		problems = several.Append(problems, list(err)...)
	}
	problems = several.Append(problems, readOptions(request.Options, &plan.Location)...)
	if pool.Standalone {
		plan.Warnings = append(plan.Warnings, standaloneWarning)
	}
	if plan.Location.Whole {
		plan.Location.ReadOnly = true
	}
	if err := problems.ErrorOrNil(); err != nil {
		return backend.Plan{}, err
	}
	return plan, nil
}

// place says in which pool and directory a request is, as the user wrote it.
func (b *Backend) place(request backend.Request) (settings.Pool, string, error) {
	location := request.Location
	if request.Device == "" {
		pool, err := b.named(location.Pool)
		return pool, location.Subdir, err
	}
	if !path.IsAbs(request.Device) || slices.Contains(strings.Split(request.Device, "/"), "..") {
		return settings.Pool{}, "", fmt.Errorf("device=%q must be an absolute directory without %q, below a pool", request.Device, "..")
	}
	pool, below, err := b.byPath(request.Device)
	if err != nil {
		return pool, "", err
	}
	if location.Pool != "" && location.Pool != pool.Name {
		return pool, "", fmt.Errorf("options pool=%s and device=%q contradict each other: the device is on pool %s", location.Pool, request.Device, pool.Name)
	}
	if below == "" && location.Subdir == "" && !location.Whole {
		return pool, "", fmt.Errorf("device=%q is the root of pool %s, in which all volumes are; write device=%s/<directory>, or class=backup for a read-only view of the pool", request.Device, pool.Name, pool.Path)
	}
	return pool, strings.Trim(below+"/"+location.Subdir, "/"), nil
}

func (b *Backend) named(name string) (settings.Pool, error) {
	if name == "" {
		return b.first()
	}
	return b.find(name, name == standaloneName && b.settings.Current().Standalone)
}

// checkSubdir completes and checks the directory.
func checkSubdir(request backend.Request, pool settings.Pool, subdir string) (string, error) {
	if request.Location.Whole {
		if subdir != "" {
			return "", fmt.Errorf("subdir=%q: class backup shows the whole pool; leave the directory out", subdir)
		}
		return "", nil
	}
	if subdir == "" {
		subdir = request.Name
	}
	clean, err := directory.Clean(subdir)
	first, _, _ := strings.Cut(clean, "/")
	switch {
	case err != nil:
		return "", fmt.Errorf("the directory %q %w", subdir, err)
	case clean == "":
		return "", fmt.Errorf("subdir=%q is the root of pool %s, in which all volumes are; name a directory, or use class=backup for a read-only view of the pool", subdir, pool.Name)
	case first == backend.PrivateFolder, first == "lost+found":
		return "", fmt.Errorf("the directory %q is not for volumes: %s belongs to the pool itself", subdir, first)
	}
	return clean, nil
}

// readOptions reads o= as for driver local: bind and what mount(8) has for it.
func readOptions(text string, location *backend.Location) []error {
	var problems []error
	harmless := strings.Fields("bind rbind rw defaults auto noauto nofail _netdev nosuid nodev noatime relatime private rprivate exec async")
	for _, part := range mountoption.Split(text) {
		switch {
		case part.Name == "ro":
			location.ReadOnly = true
		case !part.Valued && slices.Contains(harmless, part.Name), strings.HasPrefix(part.Name, "x-"):
		case mountoption.IsPassword(part.Name):
			problems = append(problems, fmt.Errorf("o: option %s is for SMB shares; a volume on a pool has none", part.Name))
		default:
			problems = append(problems, fmt.Errorf("o: option %q has no meaning for a volume on a pool; o=bind is enough", part.Name))
		}
	}
	return problems
}

func list(err error) []error {
	if err == nil {
		return nil
	}
	return []error{err}
}
