package holder

import (
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/go-multierror"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/internal/several"
)

// Release gives a volume's hold back. The caller has unmounted the volume and synced the pool. It records the intent first
// when Intend has not; after an error, Resume finishes it. A volume without a hold is no error.
func (k *Keeper) Release(ctx context.Context, directory Directory, volume string) error {
	if err := directory.validate(); err != nil {
		return err
	}
	if err := k.Intend(directory, volume); err != nil {
		return err
	}
	_, err := k.release(ctx, directory, volume)
	return err
}

// release takes a volume out of the record and says whether it did: a join that came first has taken the intent back.
func (k *Keeper) release(ctx context.Context, directory Directory, volume string) (bool, error) {
	var done bool
	err := k.do(ctx, directory, func() error {
		return k.locked(ctx, directory, func(open folders) error {
			wanted := k.isPending(directory, volume)
			if !wanted {
				return nil
			}
			if err := k.releaseLocked(ctx, open, directory, volume); err != nil {
				return err
			}
			done = true
			return k.forgetPending(directory, volume)
		})
	})
	if err != nil {
		return false, fmt.Errorf("release directory %q of pool %s: %w; it is tried again", directory.Subdir, directory.Pool.Name, err)
	}
	return done, nil
}

// releaseLocked removes the volume from every entry of this plugin, those of earlier boots included.
func (k *Keeper) releaseLocked(ctx context.Context, open folders, directory Directory, volume string) error {
	now, err := k.look(ctx, directory.Pool, open.pool)
	if err != nil {
		return err
	}
	record, err := open.read(directory)
	if err != nil {
		return err
	}
	changed := false
	for at := range record.Holders {
		holder := &record.Holders[at]
		if !now.ours(holder) || holder.Instance != k.options.Instance {
			continue
		}
		before := len(holder.Uses)
		holder.Uses = slices.DeleteFunc(holder.Uses, func(use Use) bool { return use.Volume == volume })
		changed = changed || len(holder.Uses) != before
	}
	if !changed {
		return nil
	}
	return open.write(&record)
}

// Verdict says what becomes of a pending release.
type Verdict int

const (
	// Give back the hold: nobody uses the volume.
	Give Verdict = iota
	// Keep the hold and forget the release: the volume is in use again.
	Keep
	// Later leaves the release pending: somebody else is about to do it.
	Later
)

// Resume finishes the releases of a pool that a crash or a hang left, after the caller has synced the pool. What becomes of
// each volume is for judge to say. It returns the volumes that were released, and every error.
func (k *Keeper) Resume(ctx context.Context, pool backend.Pool, judge func(volume string) Verdict) ([]string, error) {
	var released []string
	var problems *multierror.Error
	for _, left := range k.pendingOf(pool.UUID) {
		directory := Directory{Pool: pool, Subdir: left.Subdir}
		switch judge(left.Volume) {
		case Keep:
			problems = several.Append(problems, k.forgetPending(directory, left.Volume))
			continue
		case Later:
			continue
		case Give:
		}
		done, err := k.release(ctx, directory, left.Volume)
		problems = several.Append(problems, err)
		if done {
			released = append(released, left.Volume)
		}
	}
	return released, problems.ErrorOrNil()
}

// Switch changes the mode of a hold that this plugin has ("shared until a database", DESIGN D5). To become exclusive, no
// other node may have the directory; it does not wait, and the error is then a [*HeldError].
func (k *Keeper) Switch(ctx context.Context, directory Directory, mode Mode, volume string) error {
	if err := directory.validate(); err != nil {
		return err
	}
	var made attempt
	err := k.do(ctx, directory, func() error {
		return k.locked(ctx, directory, func(open folders) error {
			var err error
			made, err = k.switchLocked(ctx, open, directory, Use{Volume: volume, Mode: mode})
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("directory %q of pool %s: %w", directory.Subdir, directory.Pool.Name, err)
	}
	if len(made.blockers) > 0 {
		return &HeldError{Directory: directory, Mode: mode, Holder: made.blockers[0]}
	}
	return nil
}

func (k *Keeper) switchLocked(ctx context.Context, open folders, directory Directory, use Use) (attempt, error) {
	now, err := k.look(ctx, directory.Pool, open.pool)
	if err != nil {
		return attempt{}, err
	}
	record, err := open.read(directory)
	if err != nil {
		return attempt{}, err
	}
	held := now.use(&record, use.Volume)
	if held == nil {
		return attempt{}, fmt.Errorf("volume %s has no hold to change", use.Volume)
	}
	held.Mode = use.Mode
	made, _ := now.join(&record, use, k.options.Now().UTC())
	if len(made.blockers) > 0 {
		return made, nil
	}
	return made, open.write(&record)
}

// use finds what this plugin holds for a volume.
func (v *view) use(record *Record, volume string) *Use {
	for at := range record.Holders {
		if !v.same(record.Holders[at]) {
			continue
		}
		for number := range record.Holders[at].Uses {
			if record.Holders[at].Uses[number].Volume == volume {
				return &record.Holders[at].Uses[number]
			}
		}
	}
	return nil
}
