package driver

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/internal/several"
)

// goneLimit is for the engine, which unmounts stopped containers' volumes right after their end, and for holds that are given back.
const (
	goneLimit = 30 * time.Second
	goneTick  = 250 * time.Millisecond
)

// unbindAll unmounts volumes that no container has any more. The engine, which does that right after a container's end, is given
// some time for all of them together.
func (d *Driver) unbindAll(ctx context.Context, volumes []catalog.Record) error {
	limited, cancel := context.WithTimeout(ctx, goneLimit)
	defer cancel()
	var problems *multierror.Error
	for _, record := range volumes {
		for d.inUse(record.Name) && wait(limited, goneTick) {
			continue
		}
		problems = several.Append(problems, d.unbind(ctx, record))
	}
	return problems.ErrorOrNil()
}

// unbind unmounts one volume, unless something uses it. Uses that the engine never took back stay counted, for the sweep.
func (d *Driver) unbind(ctx context.Context, record catalog.Record) error {
	unlock, err := d.locks.Lock(ctx, record.Name)
	if err != nil {
		return fmt.Errorf("volume %q: another call for it is still going on: %w", record.Name, err)
	}
	defer unlock()
	return d.unbindLocked(ctx, record)
}

func (d *Driver) unbindLocked(ctx context.Context, record catalog.Record) error {
	mounted, err := d.isMounted(ctx, record.Name)
	if err != nil || !mounted {
		return err
	}
	users, err := d.options.Mounter.Users(ctx, []string{d.target(record.Name)})
	if err != nil {
		return fmt.Errorf("volume %q: looking for its users: %w", record.Name, err)
	}
	if found := users[d.target(record.Name)]; len(found) > 0 {
		return fmt.Errorf("volume %q is still used by process %d (%s), at %s: stop it", record.Name, found[0].PID, found[0].Name, found[0].Target)
	}
	if d.inUse(record.Name) {
		return d.options.Mounter.Unmount(ctx, d.target(record.Name))
	}
	return d.detach(ctx, record.Name, 0)
}

// released waits a while for the holds of volumes to be given back: that needs the pool. On a pool that is read-only they are
// given back when it is well again.
func (d *Driver) released(ctx context.Context, volumes []catalog.Record) {
	limited, cancel := context.WithTimeout(ctx, goneLimit)
	defer cancel()
	for _, record := range volumes {
		if going := d.releases.hasten(record.ID); going == nil {
			continue
		}
		for d.releases.pending(record.ID) && wait(limited, goneTick) {
			continue
		}
	}
}
