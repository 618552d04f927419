package driver

import (
	"context"
	"fmt"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// briefUse is how long a mount lasts at most that only the engine's copy-up needed: it mounts a volume, copies the image's
// files into it when it is empty, and unmounts it, 1.4 to 1.7 s before the mount of the container itself (FACTS 1).
const briefUse = 10 * time.Second

// afterBrief is how long the hold of a directory stays after such a mount, so that no other node comes in between.
const afterBrief = 5 * time.Second

// Unmount takes one use of an id back. With the last one the target is unmounted at once; writing out and giving the hold
// back follow in the background, since they may take long. An id or a volume that is unknown is success: the engine repeats
// itself, and shows no error of an Unmount to anybody.
func (d *Driver) Unmount(ctx context.Context, name, id string) (err error) {
	unlock, err := d.locks.lock(ctx, name)
	if err != nil {
		return fmt.Errorf("volume %q: another call for it is still going on: %w", name, err)
	}
	defer unlock()
	defer d.explain(name, &err)
	before, _ := d.uses.Of(name)
	if _, err := d.uses.Drop(name, id); err != nil {
		return fmt.Errorf("counting the use: %w", err)
	}
	if d.reap(ctx, name) > 0 {
		return nil
	}
	linger := time.Duration(0)
	for _, use := range before.Uses {
		if d.now().Sub(use.Since) < briefUse {
			linger = afterBrief
		}
	}
	return d.detach(ctx, name, linger)
}

// detach unmounts a target that has no use, and lets the hold go after a while.
func (d *Driver) detach(ctx context.Context, name string, linger time.Duration) error {
	record, _, known := d.records.get(name)
	held := known && record.Location.Kind == backend.OCFS2 && !record.Location.Whole
	if err := d.options.Mounter.Unmount(ctx, d.target(name)); err != nil {
		return fmt.Errorf("unmounting %s (it is tried again by itself): %w", d.target(name), err)
	}
	if held {
		d.releaseLater(ctx, record, backend.Pool{Name: record.Location.Pool, UUID: record.Location.PoolUUID}, linger)
	}
	return nil
}

// reap drops the uses of engines that ended, when nothing uses the volume any more (DESIGN D11), and returns how many uses
// are left. While any mount of the volume exists outside of the plugin, all stay: whose it is cannot be told. They also stay
// while the target is not mounted, as after a forced disable with the pool away: users are found by what is mounted there.
func (d *Driver) reap(ctx context.Context, name string) int {
	volume, ok := d.uses.Of(name)
	if !ok {
		return 0
	}
	ended := false
	for _, use := range volume.Uses {
		ended = ended || d.options.Engines.Ended(use.Engine)
	}
	if !ended {
		return len(volume.Uses)
	}
	if mounted, err := d.isMounted(ctx, name); err != nil || !mounted && !d.inMemory(name) {
		return len(volume.Uses)
	}
	users, err := d.options.Mounter.Users(ctx, []string{d.target(name)})
	if err != nil || len(users[d.target(name)]) > 0 {
		return len(volume.Uses)
	}
	left, err := d.uses.Reap(name, func(use Use) bool { return d.options.Engines.Ended(use.Engine) })
	if err != nil {
		d.log.WithError(err).WithField("volume", name).Error("the uses of an ended engine could not be dropped")
	}
	return left
}

// inMemory says whether a volume is a tmpfs, which cannot be mounted again after a forced disable: nothing is lost when its
// uses are dropped.
func (d *Driver) inMemory(name string) bool {
	record, _, ok := d.records.get(name)
	return ok && record.Location.Memory
}

// sweepVolume brings one volume's mount in line with its uses: a target without any use is unmounted, and a use of an ended
// engine that no container has is dropped first.
func (d *Driver) sweepVolume(ctx context.Context, name string) error {
	unlock, err := d.locks.lock(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	if d.reap(ctx, name) > 0 {
		return nil
	}
	return d.detach(ctx, name, 0)
}
