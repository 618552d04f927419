package driver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
)

const (
	// raceLook is how often a Create looks whether another node has made the volume.
	raceLook = 100 * time.Millisecond
	// raceLimit is how long a half made volume of another node is left to it: longer than a Create may take there (DESIGN D10).
	raceLimit = 30 * time.Second
	// refreshLimit bounds the look at a catalog whose pool hangs while the volume's own is well.
	refreshLimit = 2 * time.Second
)

// makers remembers since when half made volumes of other nodes have been seen, by this node's own clock.
type makers struct {
	mu   sync.Mutex
	seen map[maker]time.Time
}

type maker struct {
	id         string
	generation uint64
}

// since is when a half made volume was first seen as it is now.
func (m *makers) since(record catalog.Record, now time.Time) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := maker{record.ID, record.Generation}
	if _, known := m.seen[key]; !known {
		if m.seen == nil {
			m.seen = map[maker]time.Time{}
		}
		m.seen[key] = now
	}
	return m.seen[key]
}

// othersDone waits while another node makes a volume. With abandoned, that node is dead or has taken longer than a Create may,
// and the volume is made here; otherwise there is something new to look at.
func (d *Driver) othersDone(ctx context.Context, record catalog.Record, shelf *catalog.Catalog) (abandoned bool, err error) {
	first := d.makers.since(record, d.now())
	ticker := time.NewTicker(raceLook)
	defer ticker.Stop()
	for {
		if d.now().Sub(first) > raceLimit || d.gone(ctx, record.CreatedBy, shelf) {
			d.log.WithField("volume", record.Name).WithField("node", record.CreatedBy).Warn("a volume that another node has not completely made is made here")
			return true, nil
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
		err := shelf.Refresh(ctx)
		if ctx.Err() != nil {
			return false, fmt.Errorf("node %s is making it, since %s; try again in a moment: a node that does not end it is not waited for any longer then",
				record.CreatedBy, record.CreatedAt.UTC().Format(time.RFC3339))
		}
		if err != nil {
			return false, writable(err)
		}
		if now, ok := shelf.Get(record.Name); !ok || now.ID != record.ID || now.Generation != record.Generation {
			return false, nil
		}
	}
}

// gone says whether a node is proven to be dead, as far as the catalog's pool knows.
func (d *Driver) gone(ctx context.Context, node string, shelf *catalog.Catalog) bool {
	pool, err := d.attachFor(ctx, shelf)
	return err == nil && pool != nil && d.holders.Gone(ctx, *pool, node)
}

// racing makes a call again, with what is recorded now, when it failed because another node was quicker.
func (d *Driver) racing(ctx context.Context, attempt func() error) error {
	for {
		err := attempt()
		if !raced(err) || ctx.Err() != nil || d.records.cluster.Refresh(ctx) != nil {
			return err
		}
	}
}

// raced says that another node changed the record first.
func raced(err error) bool {
	return errors.Is(err, catalog.ErrExists) || errors.Is(err, catalog.ErrChanged) || errors.Is(err, catalog.ErrGone)
}

// current says whether a record is still as it was read. A node that removes a volume records that and then looks for holds;
// a node that mounts one has its hold and then looks for that record: whichever comes second sees the other. A volume needs its
// own pool only (DESIGN D7): when the catalog is on another one, which is away, this node's mirror answers.
func (d *Driver) current(ctx context.Context, record catalog.Record, shelf *catalog.Catalog) (bool, error) {
	if shelf == d.records.cluster {
		beside := d.besideCatalog(record)
		if !beside {
			limited, cancel := context.WithTimeout(ctx, refreshLimit)
			defer cancel()
			ctx = limited
		}
		switch err := d.refresh(ctx, shelf); {
		case err != nil && beside && !errors.Is(err, catalog.ErrFrozen):
			return false, fmt.Errorf("whether it was removed on another node cannot be told: %w", err)
		case err != nil:
			d.log.WithError(err).WithField("volume", record.Name).Debug("going by what this node knows of the catalog")
		}
	}
	now, ok := shelf.Get(record.Name)
	return ok && now.ID == record.ID && now.State == record.State, nil
}

// refresh reads what is new in the cluster's catalog; one that a failure has detached is attached again.
func (d *Driver) refresh(ctx context.Context, shelf *catalog.Catalog) error {
	err := shelf.Refresh(ctx)
	if !errors.Is(err, catalog.ErrDetached) {
		return err
	}
	if _, err := d.attachFor(ctx, shelf); err != nil {
		return err
	}
	return shelf.Refresh(ctx)
}

// besideCatalog says whether a volume is on the pool that the catalog is on.
func (d *Driver) besideCatalog(record catalog.Record) bool {
	pool, ok := d.options.Settings.Current().CatalogPool()
	return ok && record.Location.Kind == backend.OCFS2 && record.Location.Pool == pool.Name
}
