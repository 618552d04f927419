package driver

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/class"
	"github.com/homelab-storage/homelab-storage/driver/guard"
	"github.com/homelab-storage/homelab-storage/driver/holder"
)

const (
	// wholeLimit bounds a look through all of a volume, on a node that waits for it.
	wholeLimit = 5 * time.Second
	// wholeEvery is how often a volume in use is looked through, when a quick look does not see all of it.
	wholeEvery = time.Minute
)

// verdict is how many nodes may use a volume's directory.
type verdict struct {
	mode holder.Mode
	// unseen says that it was too large to be looked through: a database may be in it.
	unseen bool
}

// verdicts are what was last seen of volumes that a quick look does not see through, by volume ID.
type verdicts struct {
	mu   sync.Mutex
	last map[string]seenAt
}

type seenAt struct {
	verdict
	at time.Time
}

func (v *verdicts) of(id string) (verdict, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	last, ok := v.last[id]
	return last.verdict, ok && time.Since(last.at) < wholeEvery
}

func (v *verdicts) keep(id string, seen verdict) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.last == nil {
		v.last = map[string]seenAt{}
	}
	v.last[id] = seenAt{seen, time.Now()}
}

// only forgets all other volumes.
func (v *verdicts) only(ids []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id := range v.last {
		if !slices.Contains(ids, id) {
			delete(v.last, id)
		}
	}
}

// join takes the hold of the volume's directory for this node.
func (d *Driver) join(ctx context.Context, record catalog.Record, staged backend.Staged) error {
	wanted, err := d.verdict(ctx, record, staged)
	if err != nil {
		return err
	}
	directory := holder.Directory{Pool: *staged.Pool, Subdir: record.Location.Subdir}
	joined, err := d.holders.Join(ctx, directory, wanted.mode, record.ID)
	// What this node had all along, nobody else had alone.
	if err == nil && wanted.mode == holder.Shared && joined.Waited > 0 && !joined.Again {
		wanted, err = d.lookAgain(ctx, record, staged, directory)
	}
	if held, ok := errors.AsType[*holder.HeldError](err); ok {
		held.Volume = record.Name
		if wanted.unseen {
			err = fmt.Errorf("%w. It is %s; one that has none, and that several nodes use, is made with access=shared", err, unseenText)
		}
	}
	if errors.Is(err, holder.ErrUnrecorded) {
		d.audited.remove(staged.Pool.UUID)
	}
	// It was proven a moment ago, so its backend has not told.
	if failure, silent := backend.PoolSilent(staged.Pool.Name, staged.Base.Path, err); silent {
		return failure
	}
	return err
}

// lookAgain decides anew, with the hold that was waited for: whoever had the directory meanwhile may have made a database in it. Others that
// waited as well saw none either, and have joined, too. So each gives the shared hold back, and one of them gets the directory alone. What
// containers of this node rely on, since a hold was lost, is not given back.
func (d *Driver) lookAgain(ctx context.Context, record catalog.Record, staged backend.Staged, directory holder.Directory) (verdict, error) {
	wanted, err := d.verdict(ctx, record, staged)
	if err == nil && wanted.mode == holder.Shared {
		return wanted, nil
	}
	if !d.inUse(record.Name) {
		err = errors.Join(err, d.holders.Release(ctx, directory, record.ID))
	}
	if err == nil {
		_, err = d.holders.Join(ctx, directory, wanted.mode, record.ID)
	}
	return wanted, err
}

// unseenText says why a volume without a known database is for one node.
const unseenText = "too large to be looked through for databases"

// verdict is exclusive or shared; a class that is shared until a database is inside is looked into first. What cannot be looked through is
// taken for one that has a database: two nodes that write one lose its rows, silently.
func (d *Driver) verdict(ctx context.Context, record catalog.Record, staged backend.Staged) (verdict, error) {
	seen, decided, err := d.glance(ctx, record, staged)
	if decided || err != nil {
		return seen, err
	}
	return d.lookThrough(ctx, record, staged)
}

// lastVerdict is verdict for a volume in use: all of it is looked through once in a while.
func (d *Driver) lastVerdict(ctx context.Context, record catalog.Record, staged backend.Staged) (verdict, error) {
	seen, decided, err := d.glance(ctx, record, staged)
	if decided || err != nil {
		return seen, err
	}
	if last, fresh := d.verdicts.of(record.ID); fresh {
		return last, nil
	}
	return d.lookThrough(ctx, record, staged)
}

// glance decides by the volume's class, or by a quick look; it is undecided when that does not see all.
func (d *Driver) glance(ctx context.Context, record catalog.Record, staged backend.Staged) (seen verdict, decided bool, err error) {
	switch class.Access(record.Access) {
	case class.Shared:
		return verdict{mode: holder.Shared}, true, nil
	case class.Guarded:
	case class.Exclusive:
		return verdict{mode: holder.Exclusive}, true, nil
	default:
		return verdict{mode: holder.Exclusive}, true, nil
	}
	found, err := d.scan(ctx, record, staged, guard.Quick())
	switch {
	case err != nil:
		return verdict{}, false, err
	case found.Database():
		return verdict{mode: holder.Exclusive}, true, nil
	}
	return verdict{mode: holder.Shared}, found.Complete, nil
}

// lookThrough looks at all of a volume.
func (d *Driver) lookThrough(ctx context.Context, record catalog.Record, staged backend.Staged) (verdict, error) {
	found, err := d.scan(ctx, record, staged, guard.Whole())
	if err != nil {
		return verdict{}, err
	}
	seen := verdict{mode: holder.Shared}
	if found.Database() || !found.Complete {
		seen = verdict{mode: holder.Exclusive, unseen: !found.Database()}
	}
	d.verdicts.keep(record.ID, seen)
	return seen, nil
}

// scan looks for a database in a volume, for a while at most; then it is not complete.
func (d *Driver) scan(ctx context.Context, record catalog.Record, staged backend.Staged, limits guard.Limits) (guard.Result, error) {
	var found guard.Result
	err := d.options.Mounter.Do(ctx, "guard "+record.ID, func() (err error) {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), wholeLimit)
		defer cancel()
		found, err = guard.Scan(limited, path.Join(d.options.Mounter.HostPath(staged.Base.Path), staged.Subdir), limits)
		if errors.Is(err, context.DeadlineExceeded) {
			found, err = guard.Result{}, nil
		}
		return err
	})
	if err != nil { // a late answer may still be writing to found
		return guard.Result{}, fmt.Errorf("looking for databases in the volume: %w", err)
	}
	return found, nil
}
