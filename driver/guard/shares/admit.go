package shares

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/guard"
)

// admitLimit is what a Mount waits for the guard. A share that takes longer is mounted all the same; the background looks.
const admitLimit = 2 * time.Second

// Refuses says whether a database must not be in a volume of a share: it asks for that, or nobody would see another one's locks in it.
func Refuses(record catalog.Record) bool {
	return record.Location.Kind == backend.CIFS && (record.Guard == "refuse" || slices.Contains(record.Location.MountOptions, "nobrl"))
}

// Admit refuses to mount a volume in which a database is open now, and one that refuses databases and has one. The directory is the
// volume's, as this process sees it on the share's own mount. What is not known within 2 s is not refused, and a volume that is on no
// share, or is read-only, never is.
func (g *Guard) Admit(ctx context.Context, record catalog.Record, directory string) error {
	if !writable(record.Location) {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, admitLimit)
	defer cancel()
	if err := g.admitOpen(limited, record.Name); err != nil {
		return err
	}
	if !Refuses(record) {
		return nil
	}
	return g.admitClean(limited, record, directory)
}

// admitOpen asks once more for a database that was open a moment ago.
func (g *Guard) admitOpen(ctx context.Context, name string) error {
	if g.states.of(name).open.Path == "" {
		return nil
	}
	_ = g.ask(ctx, []string{name}) // without an answer it is taken for open still
	if known := g.states.of(name); known.open.Path != "" {
		return errors.New(openText(name, known))
	}
	return nil
}

// admitClean looks through a volume that refuses databases.
func (g *Guard) admitClean(ctx context.Context, record catalog.Record, directory string) error {
	var found guard.Finding
	known := g.states.of(record.Name).found
	err := g.do(ctx, record, func() (err error) {
		if known.Path != "" { // most often it is still there, which costs less than to look through all
			if found, err = guard.Among(ctx, directory, []string{known.Path}); err == nil && found.Path != "" {
				return nil
			}
		}
		seen, err := guard.Scan(ctx, directory, guard.Thorough())
		found = seen.Found
		return err
	})
	switch {
	case err != nil:
		g.options.Log.WithError(err).WithField("volume", record.Name).Debug("a volume that refuses databases could not be looked through in time")
		return nil
	case found.Path == "":
		return nil
	}
	g.states.change(record.Name, func(one *state) { one.found = found })
	return errors.New(refusedText(record, found))
}
