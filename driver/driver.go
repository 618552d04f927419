package driver

import (
	"context"
	"errors"
	"fmt"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/complaint"
	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/driver/drain"
	"github.com/homelab-storage/homelab-storage/driver/guard/shares"
	"github.com/homelab-storage/homelab-storage/driver/holder"
	"github.com/homelab-storage/homelab-storage/driver/reference"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/internal/keylock"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// ErrNotFound says that there is no volume of that name.
var ErrNotFound = errors.New("no such volume")

// Options are what a driver is made of. All fields are required unless said otherwise.
type Options struct {
	Mounter  mounter.Mounter
	Settings settings.Source
	Backends []backend.Backend
	Pools    Pools
	Secrets  *credential.Store
	Engines  Engines
	// Trouble, when set, is what is wrong with the configuration file now; failed calls carry it.
	Trouble func() error
	// StateDir and RunDir are paths that this process can open; the first outlives a reboot, the second does not.
	StateDir, RunDir string
	// MountRoot is where volumes are mounted, in the plugin's namespace.
	MountRoot string
	Version   string
	Log       *logrus.Entry
	Now       func() time.Time // nil means time.Now
	// Linger is how long the hold of a directory stays after a brief mount; 0 means 5 s, see afterBrief.
	Linger time.Duration
	// Durable are for tests: they let durable steps fail.
	Durable []durable.Option
	// Unseen, when set, is called when the engine does not see what is mounted (mounter.ErrUnseen): it ends the process, for the engine
	// to start it again, or says why not, and what to do instead. It may be called often.
	Unseen func() error
}

// Pools is what the driver asks of the OCFS2 backend beyond the contract of every backend.
type Pools interface {
	// Prove brings a configured pool up if need be and proves it (DESIGN D4).
	Prove(ctx context.Context, name string) (backend.Pool, error)
	// Check proves a pool and never brings one up.
	Check(ctx context.Context, name string) (backend.Pool, error)
	// Prepare proves a pool and makes its private folder and marker when they are missing.
	Prepare(ctx context.Context, name string) (backend.Pool, error)
	Trash
	backend.Upkeep
}

// Trash is the data of removed volumes, per pool.
type Trash interface {
	TrashList(ctx context.Context, pool string) ([]TrashEntry, error)
	// TrashRestore moves an entry's data to the directory of a volume, which must not hold anything.
	TrashRestore(ctx context.Context, id string, volume backend.Volume) error
	TrashEmpty(ctx context.Context, pool, id string, before time.Time) (int, error)
}

// Engines is what the driver asks of the Docker engine and of the kernel about it.
type Engines interface {
	// Swarm says whether this node is an active member of a Swarm.
	Swarm(ctx context.Context) (bool, error)
	// StartFailed starts the containers whose last start failed with a text that matches and whose restart policy wants
	// them up, and returns their names (DESIGN D15).
	StartFailed(ctx context.Context, match func(text string) bool) ([]string, error)
	// Ended says whether an incarnation of the engine is certainly gone.
	Ended(engine Engine) bool
	drain.Containers
}

// Driver is the life of all volumes of a node. Its methods may be called at once; calls for one volume take turns.
type Driver struct {
	options  Options
	log      *logrus.Entry
	now      func() time.Time
	started  time.Time
	backends map[string]backend.Backend
	records  *records
	holders  *holder.Keeper
	uses     *reference.Counter
	locks    keylock.Locks // by volume
	creates  keylock.Locks // by UUID of a pool: one at a time looks for volumes around its own
	makers   makers
	releases releases
	drains   *drain.Keeper
	leaving  atomic.Bool // the node is being left: nothing is mounted any more
	failures failures
	owed     owed
	lost     complaint.Book // volumes in use whose hold is not what it should be
	verdicts verdicts       // of volumes that are shared until a database is inside
	strays   complaint.Book // pools that have a catalog of other nodes, or have lost the one of all
	guard    *shares.Guard
	// The background's kinds of work, see Run.
	heals, rebinds, sweeps, resumes, completions, disposals, retentions, watches, looks, replies rounds
	// mirrored is when the pool's credentials were copied to this node last, in Unix nanoseconds, and mirroredAt the catalog's generation
	// then; unmirrored is what was in the way.
	mirrored   atomic.Int64
	mirroredAt atomic.Uint64
	unmirrored complaint.Book
	// recalled says that the engine was asked for the containers that an earlier process could not give their volumes.
	recalled atomic.Bool
	// unfinished are the volumes with a recorded intent that is not carried out yet.
	unfinished  names
	withdrawals withdrawals
	// audited are the pools whose holds were looked through since the start, by UUID; unaudited is what was in the way.
	audited   names
	unaudited complaint.Book
	// uncounted are the volumes that the kernel showed in use although no use was counted.
	uncounted names
	// bases are, by volume, the share mounts (mounter.Place) that targets were bound from last.
	bases sync.Map
	// aloneInSwarm says that STANDALONE is set on an active member of a Swarm.
	aloneInSwarm atomic.Bool
	// catalogPool is the pool that the cluster's catalog was attached on last; nil before.
	catalogPool atomic.Pointer[backend.Pool]
}

// New loads what the node knows: its catalogs and references. It waits for no storage; Run does the rest.
func New(ctx context.Context, options Options) (*Driver, error) {
	d := &Driver{options: options, log: options.Log, now: options.Now, backends: map[string]backend.Backend{}}
	if d.now == nil {
		d.now = time.Now
	}
	if d.options.Linger == 0 {
		d.options.Linger = afterBrief
	}
	d.started = d.now()
	d.guard = shares.New(shares.Options{Kernel: options.Mounter, MountRoot: options.MountRoot, Log: d.log, Now: d.now})
	d.heals.longest = healLongest
	for _, kind := range options.Backends {
		if _, twice := d.backends[kind.Kind()]; twice {
			return nil, fmt.Errorf("two backends for %s storage", kind.Kind())
		}
		d.backends[kind.Kind()] = kind
	}
	var err error
	if d.uses, err = reference.Open(path.Join(options.RunDir, "references"), reference.Options{Log: d.log, Now: d.now, Durable: options.Durable}); err != nil {
		return nil, fmt.Errorf("reading the references: %w", err)
	}
	if d.records, err = openRecords(ctx, options, d.now); err != nil {
		return nil, err
	}
	d.holders, err = holder.New(ctx, holder.Options{
		State: path.Join(options.StateDir, "releases"), Node: options.Settings.Current().Node, Kernel: options.Mounter,
		Log: d.log, Now: d.now, Wait: func() time.Duration { return options.Settings.Current().Defaults.LeaseWait },
		VolumeName: d.records.nameOf, Shared: options.Durable, Local: options.Durable,
	})
	if err != nil {
		return nil, fmt.Errorf("reading the pending releases: %w", err)
	}
	d.drains, err = drain.New(ctx, drain.Options{
		State: path.Join(options.StateDir, "drains"), Pools: options.Pools, Containers: options.Engines, Volumes: drainVolumes{d},
		Log: d.log, Now: d.now, Durable: options.Durable,
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// End is said when the process is about to end, while calls may still be running: holds that nobody uses are given back at once, and
// linger no more.
func (d *Driver) End() { d.releases.hurry() }

// Close waits for the releases, until 9 s after End at most, and closes the driver's own files. It unmounts nothing; releases that did not
// end are resumed at the next start.
func (d *Driver) Close() error {
	d.releases.finish()
	return errors.Join(d.drains.Close(), d.records.close())
}

func (d *Driver) target(name string) string { return path.Join(d.options.MountRoot, name) }

// backendOf finds the backend of a record; a record of a newer version may name a kind that this one does not have.
func (d *Driver) backendOf(record catalog.Record) (backend.Backend, error) {
	found, ok := d.backends[record.Location.Kind]
	if !ok {
		return nil, fmt.Errorf("storage %q is unknown to this version (%s) of homelab-storage; upgrade the plugin on this node", record.Location.Kind, d.options.Version)
	}
	return found, nil
}

func volumeOf(record catalog.Record) backend.Volume {
	return backend.Volume{
		ID: record.ID, Name: record.Name, Class: record.Class, Access: record.Options["access"], SQLite: record.SQLite, Location: record.Location,
	}
}

// explain adds the volume's name and, when there is one, the trouble with the configuration to a failed call's text: the
// engine shows neither (FACTS 1).
func (d *Driver) explain(name string, err *error) {
	if *err == nil {
		return
	}
	*err = fmt.Errorf("%s%w", mark(name), roomFor(*err))
	if d.options.Trouble == nil {
		return
	}
	if trouble := d.options.Trouble(); trouble != nil {
		*err = fmt.Errorf("%w\n%w", *err, trouble)
	}
}
