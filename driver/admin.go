package driver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/holder"
	"github.com/homelab-storage/homelab-storage/internal/several"
)

// poolNames lists the configured pools, and those of this node's standalone volumes, which stay valid when STANDALONE is
// switched off (DESIGN D14).
func (d *Driver) poolNames() []string {
	var names []string
	for _, pool := range d.options.Settings.Current().Pools {
		names = append(names, pool.Name)
	}
	for _, record := range d.records.node.List() {
		if record.Location.Standalone && !slices.Contains(names, record.Location.Pool) {
			names = append(names, record.Location.Pool)
		}
	}
	return names
}

// pools lists the pools' names, or checks the one that was asked for.
func (d *Driver) pools(name string) ([]string, error) {
	names := d.poolNames()
	switch {
	case name == "":
		return names, nil
	case slices.Contains(names, name):
		return []string{name}, nil
	}
	return nil, fmt.Errorf("there is no pool %q; configured: %s", name, cmp.Or(strings.Join(names, ", "), "none"))
}

// Holders lists who uses which directory of a pool, or of all pools when it is "".
func (d *Driver) Holders(ctx context.Context, pool string) ([]HolderRecord, error) {
	names, err := d.pools(pool)
	if err != nil {
		return nil, err
	}
	var all []HolderRecord
	var problems *multierror.Error
	for _, name := range names {
		proven, err := d.options.Pools.Check(ctx, name)
		if err != nil {
			problems = several.Append(problems, err)
			continue
		}
		held, err := d.holders.List(ctx, proven)
		problems = several.Append(problems, err)
		for _, record := range held {
			all = append(all, HolderRecord{Pool: name, Record: record})
		}
	}
	return all, problems.ErrorOrNil()
}

// HolderOf tells who uses a volume's directory, under whatever name.
func (d *Driver) HolderOf(ctx context.Context, volume string) (HolderRecord, error) {
	directory, err := d.held(ctx, volume)
	if err != nil {
		return HolderRecord{}, err
	}
	record, err := d.holders.Show(ctx, directory)
	return HolderRecord{Pool: directory.Pool.Name, Record: record}, err
}

// held is the directory that a volume's hold is about.
func (d *Driver) held(ctx context.Context, volume string) (holder.Directory, error) {
	record, _, ok := d.records.get(volume)
	if !ok || !visible(record) {
		return holder.Directory{}, fmt.Errorf("volume %q: %w", volume, ErrNotFound)
	}
	if record.Location.Kind != backend.OCFS2 || record.Location.Whole {
		return holder.Directory{}, fmt.Errorf("volume %q has no holder: only volumes with a directory on a pool have one", volume)
	}
	pool, err := d.options.Pools.Prove(ctx, record.Location.Pool)
	return holder.Directory{Pool: pool, Subdir: record.Location.Subdir}, err
}

// Repair is what a repair of the cluster's catalog did.
type Repair struct {
	Lost        []string `json:"lost"`        // the volumes that only this node knew, which are forgotten
	Records     int      `json:"records"`     // how many were written to the pool
	Credentials []string `json:"credentials"` // the names of those that were written to the pool
}

// repairable attaches the cluster's catalog, so that it can be repaired. A pool that was formatted again has no marker, with which its
// catalog would be found: it gets one, since the operator has decided what becomes of the records. The credentials for all nodes that it lost
// are given back first: as soon as the catalog is in force again, each node's copies become what the pool has.
func (d *Driver) repairable(ctx context.Context, over bool) (credentials []string, err error) {
	if _, ok := d.options.Settings.Current().CatalogPool(); !ok {
		return nil, errors.New("the configuration of this node names no catalog pool; `docker homelab pool ls` lists its pools")
	}
	pool, err := d.attachFor(ctx, d.records.cluster)
	if !errors.Is(err, catalog.ErrFrozen) {
		return []string{}, err
	}
	return d.giveBackSecrets(ctx, *pool, over)
}

// CatalogAdopt takes the catalog that is on the catalog pool now as the right one. What only this node knew is forgotten, but for
// credentials.
func (d *Driver) CatalogAdopt(ctx context.Context) (Repair, error) {
	credentials, err := d.repairable(ctx, false)
	if err != nil {
		return Repair{}, err
	}
	lost, err := d.records.cluster.Adopt(ctx)
	if err != nil {
		return Repair{}, err
	}
	d.records.cluster.Detach() // the background attaches it as it is now, with the credentials beside it
	return Repair{Lost: catalog.Names(lost), Credentials: credentials}, nil
}

// CatalogRestore writes the records and credentials that this node knows onto the catalog pool.
func (d *Driver) CatalogRestore(ctx context.Context) (Repair, error) {
	credentials, err := d.repairable(ctx, true)
	if err != nil {
		return Repair{}, err
	}
	count, err := d.records.cluster.Restore(ctx)
	if err != nil {
		return Repair{}, err
	}
	d.records.cluster.Detach()
	return Repair{Lost: []string{}, Records: count, Credentials: credentials}, nil
}

// Health tells the driver's own state, from memory.
func (d *Driver) Health(context.Context) Health {
	health := Health{
		Version: d.options.Version, Node: d.options.Settings.Current().Node, Started: d.started, Volumes: len(d.records.list()),
	}
	for _, volume := range d.uses.All() {
		if len(volume.Uses) > 0 {
			health.Mounted++
		}
	}
	health.Problems, health.Warnings = d.problems(), d.guard.Warnings.All("volume")
	for _, shelf := range []*catalog.Catalog{d.records.node, d.records.cluster} {
		state := shelf.State()
		health.Catalogs = append(health.Catalogs, map[string]any{
			"uuid": state.UUID, "generation": state.Generation, "attached": state.Attached, "records": state.Records,
		})
	}
	for kind, storage := range d.backends {
		reporter, ok := storage.(backend.Reporter)
		switch {
		case ok && kind == backend.OCFS2:
			health.Pools = reporter.Report()
		case ok && kind == backend.CIFS:
			health.Shares = reporter.Report()
		}
	}
	return health
}

func (d *Driver) problems() []string {
	var texts []string
	if d.options.Trouble != nil {
		if err := d.options.Trouble(); err != nil {
			texts = append(texts, err.Error())
		}
	}
	if d.aloneInSwarm.Load() {
		texts = append(texts, errSwarm.Error())
	}
	for _, shelf := range []*catalog.Catalog{d.records.node, d.records.cluster} {
		if state := shelf.State(); state.Frozen != "" {
			texts = append(texts, state.Frozen)
		}
		for _, problem := range shelf.Trouble() {
			texts = append(texts, problem.Text)
		}
	}
	for _, problem := range d.uses.Trouble() {
		texts = append(texts, problem.Text)
	}
	texts = append(texts, d.strays.All("pool")...)
	texts = append(texts, d.lost.All("volume")...)
	texts = append(texts, d.guard.Problems.All("volume")...)
	for _, name := range d.failures.waiting() {
		if text, ok := d.failures.of(name); ok {
			texts = append(texts, text)
		}
	}
	return texts
}
