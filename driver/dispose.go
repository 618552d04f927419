package driver

import (
	"context"
	"fmt"
	"path"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// disposers names the kinds of storage of which every node has its own data.
func (d *Driver) disposers() []string {
	var kinds []string
	for kind, storage := range d.backends {
		if _, ok := storage.(backend.Disposer); ok {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// dispose deletes this node's data of volumes that were removed, on another node perhaps (DESIGN D5). Only a catalog's tombstone
// says so: a volume that is unknown may be one of a catalog that is away.
func (d *Driver) dispose(ctx context.Context, kind string) error {
	limited, cancel := context.WithTimeout(ctx, turnLimit)
	defer cancel()
	disposer, ok := d.backends[kind].(backend.Disposer)
	if !ok {
		return nil
	}
	kept, err := disposer.Kept(limited)
	if err != nil {
		d.log.WithError(err).Warn("the data of removed volumes could not be looked for")
		return err
	}
	for _, id := range kept {
		if name, removed := d.records.removed(id); removed {
			d.disposeOf(limited, backend.Volume{ID: id, Name: name, Location: backend.Location{Kind: kind}})
		}
	}
	return nil
}

// disposeOf deletes one volume's data, when nothing on this node uses it any more.
func (d *Driver) disposeOf(ctx context.Context, volume backend.Volume) {
	log := d.log.WithField("volume", volume.Name).WithField("id", volume.ID)
	unlock, err := d.locks.Lock(ctx, volume.Name)
	if err != nil {
		return // a call of a new volume with this name is going on
	}
	defer unlock()
	used, err := d.mountedFrom(ctx, volume.ID)
	if used || d.usedByID(volume.ID) {
		return
	}
	if err == nil {
		err = d.backends[volume.Location.Kind].Remove(ctx, volume)
	}
	if err != nil {
		log.WithError(err).Warn("this node's data of a removed volume is not deleted yet")
		return
	}
	log.Info("this node's data of a removed volume was deleted")
}

// mountedFrom says whether any target shows the folder of an ID, whatever the target is called.
func (d *Driver) mountedFrom(ctx context.Context, id string) (bool, error) {
	table, err := d.options.Mounter.Table(ctx, mounter.Plugin)
	if err != nil {
		return false, fmt.Errorf("reading the mount table: %w", err)
	}
	for _, line := range table {
		if path.Base(line.Root) == id {
			return true, nil
		}
	}
	return false, nil
}

// removed says whether a catalog has the tombstone of an ID.
func (r *records) removed(id string) (name string, removed bool) {
	if name, removed = r.cluster.Removed(id); !removed {
		name, removed = r.node.Removed(id)
	}
	return name, removed
}
