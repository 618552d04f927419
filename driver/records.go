package driver

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/internal/several"
)

// records are the two catalogs of a node: the cluster's, on the catalog pool, and the node's own, for standalone volumes and
// for nodes without a pool. A name is looked up in the node's first: what is here stays valid here, whatever other nodes do.
type records struct {
	node, cluster *catalog.Catalog
}

func openRecords(ctx context.Context, options Options, now func() time.Time) (*records, error) {
	open := func(name, mirror string) (*catalog.Catalog, error) {
		opened, err := catalog.Open(ctx, catalog.Options{
			Name: name, Mirror: mirror, Doer: options.Mounter, Log: options.Log, Now: now, Shared: options.Durable, Node: options.Durable,
		})
		if err != nil {
			return nil, fmt.Errorf("reading the %s catalog: %w", name, err)
		}
		return opened, nil
	}
	node, err := open("node", path.Join(options.StateDir, "mirror", "node"))
	if err != nil {
		return nil, err
	}
	err = attachNode(ctx, node, path.Join(options.StateDir, "local"), options.Durable...)
	switch {
	case errors.Is(err, catalog.ErrFrozen): // reads go on, and writes say what to do (DESIGN D7)
		options.Log.WithError(err).Error("the node's own catalog is frozen")
	case err != nil:
		return nil, fmt.Errorf("opening the node's own catalog: %w", err)
	}
	cluster, err := open("cluster", path.Join(options.StateDir, "mirror", "cluster"))
	if err != nil {
		return nil, err
	}
	return &records{node: node, cluster: cluster}, nil
}

// attachNode opens the node's own catalog; its folder is made, since it is on the node's disk and not on a pool that might
// not be mounted.
func attachNode(ctx context.Context, node *catalog.Catalog, local string, given ...durable.Option) error {
	folder, err := durable.Open(local, append([]durable.Option{durable.MakeAll()}, given...)...)
	if err != nil {
		return err
	}
	return errors.Join(node.Attach(ctx, path.Join(local, "catalog")), folder.Close())
}

func (r *records) close() error {
	return several.Append(r.node.Close(), r.cluster.Close()).ErrorOrNil()
}

// get finds a record of any state.
func (r *records) get(name string) (catalog.Record, *catalog.Catalog, bool) {
	for _, shelf := range []*catalog.Catalog{r.node, r.cluster} {
		if record, ok := shelf.Get(name); ok {
			return record, shelf, true
		}
	}
	return catalog.Record{}, nil, false
}

// list gives all records, sorted by name; a name that both catalogs have is the node's.
func (r *records) list() []catalog.Record {
	all, others := r.node.List(), r.cluster.List()
	switch {
	case len(others) == 0:
		return all
	case len(all) == 0:
		return others
	}
	all = append(all, others...)
	slices.SortStableFunc(all, func(a, b catalog.Record) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(all, func(a, b catalog.Record) bool { return a.Name == b.Name })
}

// shelf is the catalog of a new volume.
func (r *records) shelf(standalone bool, now *settings.Settings) *catalog.Catalog {
	if _, ok := now.CatalogPool(); ok && !standalone {
		return r.cluster
	}
	return r.node
}

// nameOf is a volume's name, or its ID when the volume is unknown here.
func (r *records) nameOf(id string) string {
	if record, ok := r.byID(id); ok {
		return record.Name
	}
	return id
}

// visible says whether the engine may know a record: a volume that is half made has never been acknowledged.
func visible(record catalog.Record) bool { return record.State != catalog.Creating }

// writable turns a catalog's refusal into a sentence for the person who asked.
func writable(err error) error {
	if errors.Is(err, catalog.ErrDetached) {
		return fmt.Errorf("the catalog pool, which holds the volumes' records, is away: volumes can be used, but not created or removed, until it is back: %w", err)
	}
	return err
}
