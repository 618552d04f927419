package driver

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/internal/several"
)

// leavingsAge is how old a temporary file is that no living writer, of this node or another, has any more.
const leavingsAge = time.Hour

// catalogFolders are those of a catalog in which files are written.
func catalogFolders(root string) []string {
	return []string{root, path.Join(root, "volumes"), path.Join(root, "tombstones")}
}

// clearPool removes what processes that died in the middle of a write left on a pool. It walks no trees: a volume in the trash may
// have files of such names.
func (d *Driver) clearPool(ctx context.Context, pool backend.Pool) error {
	before := d.now().Add(-leavingsAge)
	return d.options.Mounter.Do(ctx, "leavings of "+pool.UUID, func() error {
		folders := append(catalogFolders(backend.CatalogFolder), ".", backend.CredentialsFolder, backend.NodesFolder)
		return d.clearFolders(ctx, pool.Private, before, folders, backend.HoldersFolder, backend.TrashFolder)
	})
}

// clearNode does the same on this node. What else is kept there sweeps for itself when it is opened.
func (d *Driver) clearNode(ctx context.Context) {
	before := d.now().Add(-leavingsAge)
	folders := append(catalogFolders("local/catalog"), "releases/pending", "drains")
	err := d.clearFolders(ctx, d.options.StateDir, before, folders)
	if err = several.Append(err, d.options.Secrets.Sweep(ctx, before)).ErrorOrNil(); err != nil {
		d.log.WithError(err).Warn("temporary files of earlier processes could not be removed")
	}
}

// clearFolders looks into some folders below a root, and into every folder of each parent.
func (d *Driver) clearFolders(ctx context.Context, root string, before time.Time, folders []string, parents ...string) error {
	dir, err := durable.Open(root, d.options.Durable...)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	for _, parent := range parents {
		entries, err := dir.List(parent)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, entry := range entries {
			if entry.IsDir() {
				folders = append(folders, path.Join(parent, entry.Name()))
			}
		}
	}
	for _, folder := range folders {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := dir.Sweep(folder, before); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
