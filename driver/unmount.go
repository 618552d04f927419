package driver

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// briefUse is how long a mount lasts at most that only the engine's copy-up needed: it mounts a volume, copies the image's
// files into it when it is empty, and unmounts it, 1.4 to 1.7 s before the mount of the container itself (FACTS 1).
const briefUse = 10 * time.Second

// afterBrief is how long the hold of a directory stays after such a mount, so that no other node comes in between.
const afterBrief = 5 * time.Second

// settled is how long after a start every container that the engine is starting has its mount.
const settled = 2 * time.Minute

// Unmount takes one use of an id back. With the last one the target is unmounted at once; writing out and giving the hold
// back follow in the background, since they may take long. An id or a volume that is unknown is success: the engine repeats
// itself, and shows no error of an Unmount to anybody.
func (d *Driver) Unmount(ctx context.Context, name, id string) (err error) {
	defer d.explain(name, &err)
	unlock, err := d.locks.Lock(ctx, name)
	if err != nil {
		return d.dropLate(ctx, name, id)
	}
	defer unlock()
	before, counted := d.uses.Of(name)
	if err := d.drop(name, id); err != nil {
		return err
	}
	if d.reap(ctx, name) > 0 {
		return nil
	}
	if !counted || d.uncounted.has(name) {
		if used, err := d.usedUncounted(ctx, name); used {
			return err
		}
	}
	linger := time.Duration(0)
	for _, use := range before.Uses {
		if d.now().Sub(use.Since) < briefUse {
			linger = d.options.Linger
		}
	}
	return d.detach(ctx, name, linger)
}

// dropLate counts a use down although another call has the volume's turn: the engine does not repeat an Unmount. The target is
// unmounted when the turn is free.
func (d *Driver) dropLate(ctx context.Context, name, id string) error {
	if err := d.drop(name, id); err != nil {
		return err
	}
	d.releases.group.Go(func() {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*turnLimit)
		defer cancel()
		if err := d.sweepVolume(limited, name); err != nil {
			d.log.WithError(err).WithField("volume", name).Warn("a volume that nobody uses is not unmounted yet")
		}
	})
	return nil
}

// usedUncounted says whether anything uses a target of which no use is counted, as when its file in the run folder was lost or
// damaged: then it stays mounted, and its hold is kept, until the kernel shows no user any more. With an error it may be used.
func (d *Driver) usedUncounted(ctx context.Context, name string) (used bool, err error) {
	users, err := d.options.Mounter.Users(ctx, []string{d.target(name)})
	if err == nil && len(users[d.target(name)]) == 0 {
		d.uncounted.remove(name)
		return false, nil
	}
	d.uncounted.add(name) // also when a use is counted again, and ends, it is to be asked for
	d.log.WithError(err).WithField("volume", name).Warn("a volume has no counted use, but may be in use; it stays mounted")
	if err != nil {
		err = fmt.Errorf("looking for what uses it: %w", err)
	}
	return true, err
}

// unmountUnused takes back the mount of a volume without a counted use, unless something uses it all the same.
func (d *Driver) unmountUnused(ctx context.Context, name string) error {
	if used, err := d.usedUncounted(ctx, name); used {
		return err
	}
	return d.options.Mounter.Unmount(ctx, d.target(name))
}

// detach unmounts a target that has no use, and lets the hold go after a while.
func (d *Driver) detach(ctx context.Context, name string, linger time.Duration) error {
	record, _, known := d.records.get(name)
	held := known && record.Location.Kind == backend.OCFS2 && !record.Location.Whole
	if held { // recorded first, so that a crash in between frees the directory late, and not never
		d.intend(record)
	}
	if err := d.options.Mounter.Unmount(ctx, d.target(name)); err != nil {
		return fmt.Errorf("unmounting %s (it is tried again by itself): %w", d.target(name), err)
	}
	d.bases.Delete(name)
	if held {
		d.releaseLater(ctx, record, linger)
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
	if !slices.ContainsFunc(volume.Uses, d.doubtful) {
		return len(volume.Uses)
	}
	if mounted, err := d.isMounted(ctx, name); err != nil || !mounted && !d.inMemory(name) {
		return len(volume.Uses)
	}
	users, err := d.options.Mounter.Users(ctx, []string{d.target(name)})
	if err != nil || len(users[d.target(name)]) > 0 {
		return len(volume.Uses)
	}
	left, err := d.uses.Reap(name, d.doubtful)
	if err != nil {
		d.log.WithError(err).WithField("volume", name).Error("the uses of an ended engine could not be dropped")
	}
	return left
}

// doubtful says whether a use may be one that the engine will never take back: its engine ended, or it is from before this
// plugin's start, since when a container may have ended while the plugin was disabled. Whoever lives on has its mount by then.
func (d *Driver) doubtful(use Use) bool {
	return d.options.Engines.Ended(use.Engine) || use.Since.Before(d.started) && d.now().Sub(d.started) > settled
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
	unlock, err := d.locks.Lock(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	_, err = d.settleUses(ctx, name)
	return err
}

// settleUses unmounts a volume that is mounted and that nobody uses, and says whether somebody uses it, counted or not. Its caller has the
// volume's turn.
func (d *Driver) settleUses(ctx context.Context, name string) (used bool, err error) {
	d.dropOwed(name)
	if d.reap(ctx, name) > 0 {
		return true, nil
	}
	if mounted, err := d.isMounted(ctx, name); err != nil || !mounted {
		return false, err
	}
	if used, err := d.usedUncounted(ctx, name); used {
		return true, err
	}
	return false, d.detach(ctx, name, 0)
}
