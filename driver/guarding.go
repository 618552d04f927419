package driver

import (
	"context"
	"path"
	"slices"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/guard/shares"
)

// guardShares has the volumes in use on shares looked into for databases (driver/guard/shares).
func (d *Driver) guardShares(ctx context.Context) {
	d.looks.begin(ctx, d.lookInto, d.byStorage(d.guard.Round(ctx, d.records.list(), d.inUse)))
}

func (d *Driver) lookInto(ctx context.Context, name string) error {
	limited, cancel := context.WithTimeout(ctx, turnLimit)
	defer cancel()
	record, _, ok := d.records.get(name)
	if !ok {
		return nil
	}
	return d.guard.Look(limited, record)
}

// admit asks the guard whether a volume may be mounted once more, but not for an id that has it already, whose container is copied
// from or to.
func (d *Driver) admit(ctx context.Context, record catalog.Record, staged backend.Staged, id string) error {
	volume, _ := d.uses.Of(record.Name)
	if slices.ContainsFunc(volume.Uses, func(use Use) bool { return use.ID == id }) {
		return nil
	}
	return d.guard.Admit(ctx, record, path.Join(staged.Base.Path, staged.Subdir))
}

// admitNew refuses to make a volume that refuses databases of a directory that has one.
func (d *Driver) admitNew(ctx context.Context, storage backend.Backend, record catalog.Record) error {
	if !shares.Refuses(record) {
		return nil
	}
	staged, err := storage.Stage(ctx, volumeOf(record))
	if err != nil {
		return err
	}
	return d.admit(ctx, record, staged, "")
}
