package drain

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// Container is a running container that uses volumes of ours.
type Container struct {
	ID, Name, Image string
	Volumes         []string
	// Service is the Swarm service that it is a task of, or "". Swarm starts its tasks itself.
	Service string
}

// Containers is what a drain asks of the Docker engine.
type Containers interface {
	// Using lists the running containers that have any of these volumes.
	Using(ctx context.Context, volumes []string) ([]Container, error)
	// Stop stops a container with its own grace period; one that is gone or stopped already is success.
	Stop(ctx context.Context, id string) error
	// Start starts a container; one that is gone or runs already is success.
	Start(ctx context.Context, id string) error
}

// Volumes is what a drain asks of the driver.
type Volumes interface {
	// On lists the volumes on a pool.
	On(pool string) []catalog.Record
	// Vacate unmounts volumes that no container has any more, and gives their holds back. An error names what still uses one.
	Vacate(ctx context.Context, volumes []catalog.Record) error
	// LetGo closes what the driver itself has open on a pool, which is about to be unmounted.
	LetGo(pool string)
}

// Options are what a keeper is made of. All fields are required unless said otherwise.
type Options struct {
	State      string // the folder with a file for each drained pool; it is made when missing
	Pools      backend.Upkeep
	Containers Containers
	Volumes    Volumes
	Log        *logrus.Entry
	Now        func() time.Time
	Durable    []durable.Option // for tests: they let durable steps fail
}

// Request says how a pool is drained.
type Request struct {
	Stop   bool // stop the containers that use it, and start them again at the end
	Repair bool // let fsck.ocfs2 repair what it finds
	Hold   bool // leave it unmounted and unchecked, until Undrain
}

// Report is how far a drain, or its end, has come.
type Report struct {
	Lines []string // what was done, a sentence each
	Ended bool
}

// Keeper takes pools out of use on this node and brings them back. A pool is named. Its methods may be called at once.
type Keeper struct {
	options Options
	state   *durable.Dir
	jobs    *jobs
	// turning is held while a pool's state turns from mounted again to drained, or is given up: Finish works beside a Drain.
	turning sync.Mutex
}

// New opens a keeper and refuses the pools that are drained, before anything could mount them.
func New(ctx context.Context, options Options) (*Keeper, error) {
	state, err := durable.Open(options.State, append([]durable.Option{durable.MakeAll()}, options.Durable...)...)
	if err != nil {
		return nil, fmt.Errorf("opening the state of drained pools: %w", err)
	}
	k := &Keeper{options: options, state: state, jobs: newJobs(ctx)}
	list, err := k.list()
	for _, drained := range list {
		if !drained.Lifted {
			options.Pools.Refuse(drained.Pool, drained.Since, true)
		}
	}
	if err != nil { // other pools go on
		options.Log.WithError(err).Error("the drained pools could not be read")
	}
	return k, nil
}

// Close ends the work under way; it is taken up again by the next Drain or Undrain.
func (k *Keeper) Close() error {
	k.jobs.close()
	if err := k.state.Close(); !errors.Is(err, fs.ErrClosed) {
		return err
	}
	return nil
}

// Drain takes a pool out of use on this node: its volumes are refused, its containers stopped, the pool unmounted and checked; then
// it is mounted again, proven, and what was stopped is started. It goes on when its caller gives up, and, asked for again, where
// a failure or a crash left it. The report has what was done until now; [Keeper.Progress] tells more.
func (k *Keeper) Drain(ctx context.Context, pool string, request Request) (Report, error) {
	return k.jobs.begin(ctx, pool, func(ctx context.Context, say say) error { return k.drain(ctx, pool, request, say) })
}

// Undrain ends a drain: the pool is mounted as it is, proven, and what the drain stopped is started. It is refused while a Drain or
// an Undrain of the pool goes on.
func (k *Keeper) Undrain(ctx context.Context, pool string) (Report, error) {
	if k.jobs.going(pool) {
		return Report{Ended: true}, fmt.Errorf("pool %s is being drained now; wait until that has ended (docker homelab drain %s shows it)", pool, pool)
	}
	return k.jobs.begin(ctx, pool, func(ctx context.Context, say say) error { return k.undrain(ctx, pool, say) })
}

// Going says whether a Drain or an Undrain of a pool goes on now.
func (k *Keeper) Going(pool string) bool { return k.jobs.going(pool) }

// Drained says whether a pool is out of use on this node, until Undrain. One whose state cannot be read may be.
func (k *Keeper) Drained(pool string) bool {
	known, ok, err := k.read(pool)
	return err != nil || ok && !known.Lifted
}

// Progress waits for a while until the report of the latest Drain or Undrain has more than some lines, or an end.
func (k *Keeper) Progress(ctx context.Context, pool string, seen int) (Report, error) {
	return k.jobs.progress(ctx, pool, seen)
}

// Finish starts what the very last step of a drain left stopped, since it failed or a crash cut it off.
func (k *Keeper) Finish(ctx context.Context) {
	list, err := k.list()
	if err != nil {
		k.options.Log.WithError(err).Error("the drained pools could not be read")
	}
	for _, drained := range list {
		if !drained.Lifted || k.jobs.going(drained.Pool) {
			continue
		}
		log := k.options.Log.WithField("pool", drained.Pool)
		if err := k.startStopped(ctx, drained, func(format string, arguments ...any) {
			log.WithField("text", fmt.Sprintf(format, arguments...)).Info("a drain is ended")
		}); err != nil {
			log.WithError(err).Warn("the containers that a drain stopped are not all started yet")
		}
	}
}
