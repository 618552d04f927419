package shares

import (
	"context"
	"path"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/complaint"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// Every is how often [Guard.Round] is to be called: an open database is named within 20 s.
const Every = 10 * time.Second

// openLimit bounds the question what is open, which asks no file system.
const openLimit = 5 * time.Second

// Kernel is what the guard asks of the kernel. mounter.Mounter is one.
type Kernel interface {
	Table(ctx context.Context, side mounter.Side) ([]mounter.Mount, error)
	OpenFiles(ctx context.Context, targets []string) (map[string][]mounter.OpenFile, error)
	Do(ctx context.Context, key string, work func() error) error
}

// Options are what a guard is made of. All fields are required.
type Options struct {
	Kernel Kernel
	// MountRoot is where volumes are mounted, each at its name, in the plugin's namespace.
	MountRoot string
	Log       *logrus.Entry
	Now       func() time.Time
}

// Guard looks after the volumes on SMB shares that are in use on this node. Its methods may be called at once.
type Guard struct {
	// Warnings name the databases that lie in volumes, Problems those that are open. They are for reading.
	Warnings, Problems complaint.Book

	options Options
	states  states
}

// New makes a guard that knows of no volume yet.
func New(options Options) *Guard { return &Guard{options: options} }

// Mounted has a volume looked through soon.
func (g *Guard) Mounted(name string) { g.states.begin(name, g.options.Now()) }

// Round asks what containers write to in the volumes in use, and tells which of these are due for a [Guard.Look]. It takes all of the
// node's records, and forgets what it knew of other volumes. It waits for no server.
func (g *Guard) Round(ctx context.Context, records []catalog.Record, inUse func(name string) bool) (due []string) {
	var all, used []string
	for _, record := range records {
		if !writable(record.Location) {
			continue
		}
		all = append(all, record.Name)
		if inUse(record.Name) {
			used = append(used, record.Name)
		}
	}
	g.states.only(all)
	g.Warnings.Only(all)
	g.Problems.Only(used)
	if len(used) == 0 {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	if err := g.ask(limited, used); err != nil {
		g.options.Log.WithError(err).Debug("what containers have open on shares could not be found out")
	}
	return g.states.due(used, g.options.Now())
}

// writable says whether a database could be written to a volume, on a share.
func writable(location backend.Location) bool {
	return location.Kind == backend.CIFS && !location.ReadOnly
}

// ask notes what containers write to in some volumes.
func (g *Guard) ask(ctx context.Context, names []string) error {
	var targets []string
	for _, name := range names {
		targets = append(targets, g.target(name))
	}
	files, err := g.options.Kernel.OpenFiles(ctx, targets)
	if err != nil {
		return err
	}
	for _, name := range names {
		g.states.writing(name, files[g.target(name)])
		g.tellOpen(name)
	}
	return nil
}

func (g *Guard) target(name string) string { return path.Join(g.options.MountRoot, name) }

// tellFound warns of a database that lies in a volume, once.
func (g *Guard) tellFound(name string) {
	var text string
	if known := g.states.of(name); known.found.Path != "" {
		text = foundText(name, known.found)
	}
	if g.Warnings.Set(name, text) && text != "" {
		g.options.Log.WithFields(map[string]any{"volume": name, "warning": text}).Warn("a database lies on a share")
	}
}

// tellOpen reports a database that is open in a volume, once.
func (g *Guard) tellOpen(name string) {
	var text string
	if known := g.states.of(name); known.open.Path != "" {
		text = openText(name, known)
	}
	if g.Problems.Set(name, text) && text != "" {
		g.options.Log.WithFields(map[string]any{"volume": name, "problem": text}).Error("a database is open on a share")
	}
}
