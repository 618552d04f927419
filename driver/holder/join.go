package holder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/homelab-storage/homelab-storage/mounter"
)

// JoinResult is a hold that was joined.
type JoinResult struct {
	Record Record
	// Waited is how long something was in the way; 0 when nothing was.
	Waited time.Duration
	// TakenOver are the holders of dead or rebooted nodes that the join removed.
	TakenOver []Holder
	// Again says that the volume was held by this plugin already.
	Again bool
}

// attempt is what one look at the record came to.
type attempt struct {
	result   JoinResult
	blockers []Holder
}

// Join takes a hold of a directory for a volume of this node and waits for other nodes, at most LEASE_WAIT and until the
// context ends; the error is then a [*HeldError]. A record that cannot be read matches [ErrDamaged]. An error after which the hold
// may have been taken, or may be taken late (mounter.ErrStuck), leaves a release pending.
func (k *Keeper) Join(ctx context.Context, directory Directory, mode Mode, volume string) (JoinResult, error) {
	if err := validateJoin(&directory, mode, volume); err != nil {
		return JoinResult{}, err
	}
	began := k.options.Now()
	limit := time.NewTimer(k.options.Wait())
	defer limit.Stop()
	poll := time.NewTicker(k.options.Poll)
	defer poll.Stop()
	var held *HeldError
	var waited time.Duration // before this look
	for {
		result, err := k.TryJoin(ctx, directory, mode, volume)
		switch {
		case err == nil:
			result.Waited = waited
			return result, nil
		case errors.As(err, &held):
			held.Wait = k.options.Now().Sub(began)
		case held != nil && ctx.Err() != nil: // the end cut the last look off: what the one before it saw is the reason
			held.Wait = k.options.Now().Sub(began)
			if errors.Is(err, ErrUnrecorded) { // it may have the hold now, and nobody knows
				return JoinResult{}, errors.Join(held, err)
			}
			return JoinResult{}, held
		case !errors.Is(err, mounter.ErrBusy):
			return JoinResult{}, err
		}
		select {
		case <-poll.C:
			waited = k.options.Now().Sub(began)
		case <-limit.C:
			return JoinResult{}, err
		case <-ctx.Done():
			return JoinResult{}, err
		}
	}
}

// TryJoin is a Join that waits for nobody.
func (k *Keeper) TryJoin(ctx context.Context, directory Directory, mode Mode, volume string) (JoinResult, error) {
	if err := validateJoin(&directory, mode, volume); err != nil {
		return JoinResult{}, err
	}
	tried, err := k.try(ctx, directory, mode, volume)
	if err != nil {
		return JoinResult{}, k.failed(directory, volume, err)
	}
	if len(tried.blockers) > 0 {
		return JoinResult{}, &HeldError{Directory: directory, Mode: mode, Holder: tried.blockers[0]}
	}
	k.joined(directory, volume, tried.result)
	return tried.result, nil
}

func validateJoin(directory *Directory, mode Mode, volume string) error {
	if mode != Exclusive && mode != Shared || volume == "" {
		return fmt.Errorf("volume %q cannot hold directory %q in mode %q", volume, directory.Subdir, mode)
	}
	return directory.validate()
}

// takenError is a failure of a join that may have written the record.
type takenError struct{ err error }

func (e *takenError) Error() string { return e.err.Error() }

func (e *takenError) Unwrap() error { return e.err }

// failed wraps an error and sees to a hold that was taken, or that a thread may still take.
func (k *Keeper) failed(directory Directory, volume string, err error) error {
	err = fmt.Errorf("directory %q of pool %s: %w", directory.Subdir, directory.Pool.Name, err)
	if _, taken := errors.AsType[*takenError](err); taken || errors.Is(err, mounter.ErrStuck) {
		return errors.Join(err, k.Intend(directory, volume))
	}
	return err
}

func (k *Keeper) joined(directory Directory, volume string, result JoinResult) {
	for _, holder := range result.TakenOver {
		k.options.Log.WithField("pool", directory.Pool.Name).WithField("subdir", directory.Subdir).WithField("volume_id", volume).
			WithField("node", holder.Name).WithField("since", holder.Since).Warn("took a directory over from a node that is gone")
	}
}

// try makes one attempt on a disposable thread.
func (k *Keeper) try(ctx context.Context, directory Directory, mode Mode, volume string) (attempt, error) {
	var made attempt
	err := k.do(ctx, directory, func() error {
		return k.locked(ctx, directory, func(open folders) error {
			var err error
			made, err = k.joinLocked(ctx, open, directory, Use{Volume: volume, Mode: mode})
			return err
		})
	})
	if err != nil {
		return attempt{}, err // made may still be written by the thread
	}
	return made, nil
}

// joinLocked decides and writes. The boot id is published first: whoever finds this node's entry finds it as well.
func (k *Keeper) joinLocked(ctx context.Context, open folders, directory Directory, use Use) (attempt, error) {
	now, err := k.look(ctx, directory.Pool, open.pool)
	if err != nil {
		return attempt{}, err
	}
	if err := now.publish(); err != nil {
		return attempt{}, err
	}
	record, err := open.read(directory)
	if err != nil {
		return attempt{}, err
	}
	made, changed := now.join(&record, use, k.options.Now().UTC())
	if len(made.blockers) > 0 {
		return made, nil
	}
	if changed {
		if err := open.write(&record); err != nil {
			return attempt{}, &takenError{err}
		}
	}
	made.result.Record = record
	// Under the lock, so that a Resume that waits for it sees that the volume is wanted again.
	if err := k.want(ctx, directory, use.Volume); err != nil {
		return attempt{}, &takenError{err}
	}
	return made, nil
}

// join changes a record for a use of this node and says whether there is something to write. With blockers the record is
// not to be written.
func (v *view) join(record *Record, use Use, at time.Time) (made attempt, changed bool) {
	kept := make([]Holder, 0, len(record.Holders)+1)
	for _, holder := range record.Holders {
		conflict := use.Mode == Exclusive || holder.mode() == Exclusive
		switch {
		case v.stale(&holder):
			changed = true
		case v.ours(&holder):
			kept = append(kept, holder)
		case v.gone(&holder):
			changed = true
			made.result.TakenOver = append(made.result.TakenOver, holder)
		case conflict:
			made.blockers = append(made.blockers, holder)
		default:
			kept = append(kept, holder)
		}
	}
	record.Holders = kept
	return made, v.add(record, use, at, &made) || changed
}

// add enters a use for this plugin and says whether that changed the record. A volume that is held exclusively stays so.
func (v *view) add(record *Record, use Use, at time.Time, made *attempt) bool {
	mine := slices.IndexFunc(record.Holders, v.same)
	if mine < 0 {
		entry := v.self
		entry.Uses, entry.Since = []Use{use}, at
		record.Holders = append(record.Holders, entry)
		return true
	}
	renamed := record.Holders[mine].Name != v.self.Name // others ask for a node, and see that it has rebooted, by its name
	record.Holders[mine].Name = v.self.Name
	uses := slices.Clone(record.Holders[mine].Uses)
	found := slices.IndexFunc(uses, func(other Use) bool { return other.Volume == use.Volume })
	switch {
	case found < 0:
		uses = append(uses, use)
	case uses[found].Mode == use.Mode || uses[found].Mode == Exclusive:
		made.result.Again = true
		return renamed
	default:
		made.result.Again = true
		uses[found].Mode = use.Mode
	}
	record.Holders[mine].Uses = uses
	return true
}

// same says whether a holder is this plugin in this boot.
func (v *view) same(holder Holder) bool {
	return v.ours(&holder) && holder.Boot == v.self.Boot && holder.Instance == v.self.Instance
}
