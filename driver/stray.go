package driver

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
)

// straysNamed is how many volumes of another catalog a sentence names.
const straysNamed = 5

// stray looks at a pool that does not have this node's catalog for records that this node does not know: another node keeps the
// cluster's records there, and each of the two would make volumes that the other one never sees (DESIGN D7).
func (d *Driver) stray(ctx context.Context, pool backend.Pool) {
	configured, ok := d.options.Settings.Current().CatalogPool()
	if !ok || configured.Name == pool.Name || pool.Standalone || !d.records.cluster.State().Attached {
		d.strays.Set(pool.Name, "")
		return
	}
	folder := path.Join(pool.Private, backend.CatalogFolder)
	var found []catalog.Record
	err := d.options.Mounter.Do(ctx, "catalog beside ours on "+pool.UUID, func() (err error) {
		found, err = catalog.Elsewhere(folder, d.options.Durable...)
		return err
	})
	if err != nil {
		d.log.WithError(err).WithField("pool", pool.Name).Debug("whether the pool has another catalog is unknown")
		return
	}
	found = slices.DeleteFunc(found, d.knows)
	if len(found) == 0 {
		d.strays.Set(pool.Name, "")
		return
	}
	text := fmt.Sprintf("it has the records of volumes that this node does not know (%s), and this node keeps its records on pool %s: "+
		"nodes disagree about the catalog pool. Write catalog: true at the same pool on every node (config.yaml), and then, on each node "+
		"that had it wrong, \"docker homelab catalog restore\", which writes the records that it knows into the right catalog. If those "+
		"volumes are gone for good, remove %s/%s/%s", someNames(found), configured.Name, pool.Path, backend.PrivateFolder, backend.CatalogFolder)
	if d.strays.Set(pool.Name, text) {
		d.log.WithField("pool", pool.Name).WithField("reason", text).Error("nodes disagree about the catalog pool")
	}
}

// emptied looks for a catalog pool that has no catalog although this node has copies of its records: it was formatted again, or is another
// one. Nothing is attached then, so that the catalog itself does not say so.
func (d *Driver) emptied(pool string, found error) {
	text, known := "", d.records.cluster.State().Records
	if known > 0 && errors.Is(found, backend.ErrUnused) {
		text = fmt.Sprintf("it has no records of volumes, and this node knows %d: it was formatted again, or is another one. Volumes are listed from "+
			"this node's copy, and none is created or removed. Mount the right pool, or run \"docker homelab catalog adopt\" on every node to begin "+
			"anew with the directories that are on it, or \"docker homelab catalog restore\" on one to write its copy onto it: volumes of this pool "+
			"are then refused unless it has the UUID that it had", known)
	}
	if d.strays.Set(pool, text) && text != "" {
		d.log.WithField("pool", pool).WithField("reason", text).Error("the catalog pool has no records")
	}
}

// knows says whether a record is one of this node's catalogs, or was removed from one.
func (d *Driver) knows(record catalog.Record) bool {
	_, known := d.records.byID(record.ID)
	_, removed := d.records.cluster.Removed(record.ID)
	return known || removed || !visible(record)
}

func someNames(records []catalog.Record) string {
	names := catalog.Names(records)
	if len(names) > straysNamed {
		names = append(names[:straysNamed], fmt.Sprintf("%d more", len(names)-straysNamed))
	}
	return strings.Join(names, ", ")
}
