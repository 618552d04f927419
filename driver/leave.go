package driver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/internal/several"
)

// errLeaving answers whoever wants a volume of a plugin that is on its way off the node.
var errLeaving = errors.New("homelab-storage is being uninstalled from this node (docker homelab uninstall); enable the plugin again (docker plugin disable -f, then enable) to use its volumes here")

// Leave takes off this node what the plugin brought: the volumes' mounts, the holds, the pools that it mounted, their heartbeat and
// the iSCSI sessions that it made. Data, records and credentials stay. It is refused while anything uses a volume, and during a drain;
// after a failure the plugin works on as before. It says in sentences what it did.
func (d *Driver) Leave(ctx context.Context) (lines []string, err error) {
	if err := d.busy(ctx); err != nil {
		return nil, err
	}
	if err := d.options.Pools.Retired(ctx); err != nil {
		return nil, err
	}
	pools := d.ownPools()
	d.leaving.Store(true)
	defer func() {
		if err != nil {
			d.leaving.Store(false)
			for _, pool := range pools {
				if !d.drains.Drained(pool) { // else it would be mounted while somebody checks its disk
					d.options.Pools.Admit(pool)
				}
			}
		}
	}()
	if i := slices.IndexFunc(pools, d.drains.Going); i >= 0 {
		return nil, fmt.Errorf("pool %s is being drained now; wait until that has ended (docker homelab drain %[1]s shows it)", pools[i])
	}
	if err := d.unbindAll(ctx, d.touchedVolumes(ctx)); err != nil {
		return nil, err
	}
	if err := d.bare(ctx); err != nil {
		return nil, err
	}
	lines = append(lines, "No volume is mounted on this node any more.")
	d.released(ctx, d.records.list())
	var problems *multierror.Error
	for _, pool := range pools {
		_ = d.resume(ctx, pool) // what is still pending is free for others when the heartbeat ends
		d.options.Pools.Refuse(pool, d.now(), true)
		d.records.cluster.Detach()
		done, err := d.options.Pools.Leave(ctx, pool)
		lines = append(lines, done...)
		problems = several.Append(problems, err)
	}
	if err := problems.ErrorOrNil(); err != nil {
		return lines, err
	}
	for _, pool := range pools { // when all are unmounted: a session may have the disks of several, and a heartbeat that loses its disk resets the node
		done, err := d.options.Pools.Disconnect(ctx, pool)
		lines = append(lines, done...)
		problems = several.Append(problems, err)
	}
	return lines, problems.ErrorOrNil()
}

// bare removes the folders for mounts, all of which are unmounted but for a Mount that was under way. Files in one of them would go with
// the plugin's own folder when the plugin is removed.
func (d *Driver) bare(ctx context.Context) error {
	folders, err := os.ReadDir(d.options.MountRoot)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("looking for files under the volumes' mounts: %w", err)
	}
	var problems *multierror.Error
	for _, folder := range folders {
		if name := folder.Name(); folder.IsDir() && !strings.HasPrefix(name, ".") {
			problems = several.Append(problems, d.bareOf(ctx, name))
		}
	}
	return problems.ErrorOrNil()
}

func (d *Driver) bareOf(ctx context.Context, name string) error {
	unlock, err := d.locks.Lock(ctx, name)
	if err != nil {
		return fmt.Errorf("volume %q: another call for it is still going on: %w", name, err)
	}
	defer unlock()
	if err := d.unbindLocked(ctx, catalog.Record{Name: name}); err != nil {
		return err
	}
	if err := d.options.Mounter.Unmount(ctx, d.target(name)); err != nil {
		return fmt.Errorf("volume %q: %w", name, err)
	}
	return nil
}

// touchedVolumes are the records of what is mounted here or has uses; of a volume that is not known any more there is the name.
func (d *Driver) touchedVolumes(ctx context.Context) []catalog.Record {
	var volumes []catalog.Record
	for _, name := range d.touched(ctx) {
		record, _, known := d.records.get(name)
		if !known {
			record = catalog.Record{Name: name}
		}
		volumes = append(volumes, record)
	}
	return volumes
}

// ownPools are the configured pools that have a disk.
func (d *Driver) ownPools() []string {
	var names []string
	for _, pool := range d.options.Settings.Current().Pools {
		if !pool.Standalone {
			names = append(names, pool.Name)
		}
	}
	return names
}

// busy names what uses a volume.
func (d *Driver) busy(ctx context.Context) error {
	names := d.touched(ctx)
	slices.Sort(names)
	var problems *multierror.Error
	for _, name := range names {
		users, err := d.options.Mounter.Users(ctx, []string{d.target(name)})
		if err != nil {
			return fmt.Errorf("looking for the users of volume %q: %w", name, err)
		}
		if found := users[d.target(name)]; len(found) > 0 {
			problems = several.Append(problems, fmt.Errorf("volume %q is used by process %d (%s), at %s: stop it", name, found[0].PID, found[0].Name, found[0].Target))
		}
	}
	return problems.ErrorOrNil()
}
