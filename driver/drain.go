package driver

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
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

// DrainOptions say how a pool is drained.
type DrainOptions struct {
	Stop   bool // stop the containers that use it, and start them again at the end
	Repair bool // let fsck.ocfs2 repair what it finds
	Hold   bool // leave it unmounted and unchecked, until Undrain
}

// DrainReport is how far a drain, or its end, has come.
type DrainReport struct {
	Lines []string // what was done, a sentence each
	Ended bool
}

// How long the steps of a drain wait.
const (
	// goneLimit is for the engine, which unmounts stopped containers' volumes right after their end.
	goneLimit = 30 * time.Second
	goneTick  = 250 * time.Millisecond
	// stopRounds bounds how often containers are looked for that had their mount and were not running yet.
	stopRounds = 3
	// progressLimit is how long a question for news of a drain waits for some.
	progressLimit = 15 * time.Second
)

// Drain takes a pool out of use on this node: its volumes are refused, its containers stopped, the pool unmounted and checked; then
// it is mounted again, proven, and what was stopped is started. It goes on when its caller gives up, and, asked for again, where
// a failure or a crash left it. The report has what was done until now; [Driver.DrainProgress] tells more.
func (d *Driver) Drain(ctx context.Context, pool string, options DrainOptions) (DrainReport, error) {
	if err := d.drainable(pool); err != nil {
		return DrainReport{Ended: true}, err
	}
	return d.drains.begin(ctx, pool, func(ctx context.Context, say func(string, ...any)) error {
		return d.drain(ctx, pool, options, say)
	})
}

// Undrain ends a drain: the pool is mounted as it is, proven, and what the drain stopped is started.
func (d *Driver) Undrain(ctx context.Context, pool string) (DrainReport, error) {
	if err := d.drainable(pool); err != nil {
		return DrainReport{Ended: true}, err
	}
	if d.drains.going(pool) {
		return DrainReport{Ended: true}, fmt.Errorf("pool %s is being drained now; wait until that has ended (docker homelab drain %s shows it)", pool, pool)
	}
	return d.drains.begin(ctx, pool, func(ctx context.Context, say func(string, ...any)) error { return d.undrain(ctx, pool, say) })
}

// DrainProgress waits for a while until the report of the latest Drain or Undrain has more than some lines, or an end.
func (d *Driver) DrainProgress(ctx context.Context, pool string, seen int) (DrainReport, error) {
	return d.drains.progress(ctx, pool, seen)
}

// drainable refuses names that are no pool with a disk.
func (d *Driver) drainable(pool string) error {
	if configured, ok := d.options.Settings.Current().PoolNamed(pool); ok && !configured.Standalone {
		return nil
	}
	if _, err := d.pools(pool); pool != "" && err != nil {
		return err
	}
	return fmt.Errorf("pool %q is a folder of this node's own disk: there is nothing to unmount or check", pool)
}

func (d *Driver) drain(ctx context.Context, pool string, options DrainOptions, say func(string, ...any)) error {
	volumes := d.onPool(pool)
	using, err := d.options.Engines.Using(ctx, namesOf(volumes))
	if err != nil {
		return err
	}
	if len(using) > 0 && !options.Stop {
		return inUse(pool, using)
	}
	if options.Repair {
		if err := d.alone(ctx, pool); err != nil {
			return err
		}
	}
	drained, err := d.drains.open(pool, d.now())
	if err != nil {
		return err
	}
	d.options.Pools.Refuse(pool, drained.Since, false)
	say("No volume of pool %s is mounted on this node any more, until the end.", pool)
	if err := d.clear(ctx, drained, volumes, options.Stop, say); err != nil {
		return stays(pool, err)
	}
	if err := d.takeDown(ctx, drained, say); err != nil {
		return stays(pool, err)
	}
	if options.Hold {
		say("It stays so until you write: docker homelab undrain %s", pool)
		return nil
	}
	verdict, err := d.options.Pools.CheckDisk(ctx, pool, options.Repair)
	tellVerdict(say, verdict, options.Repair, err)
	if err != nil {
		return stays(pool, err)
	}
	return d.undrain(ctx, pool, say)
}

// stays says what follows from a failure in the middle.
func stays(pool string, err error) error {
	return fmt.Errorf("%w\nPool %s stays drained on this node. Run the command again when what is in the way is gone, or, to mount it as it is: docker homelab undrain %s", err, pool, pool)
}

// inUse lists the containers that must be stopped first.
func inUse(pool string, using []Container) error {
	var text strings.Builder
	fmt.Fprintf(&text, "pool %s is in use on this node. Stop these containers, or let them be stopped and started again with --stop:", pool)
	for _, one := range using {
		fmt.Fprintf(&text, "\n  %s (image %s) has %s", one.Name, one.Image, strings.Join(one.Volumes, ", "))
		if one.Service != "" {
			fmt.Fprintf(&text, "; a task of the Swarm service %s, which starts another one: scale it down or drain the node", one.Service)
		}
	}
	return fmt.Errorf("%s", text.String())
}

// alone refuses a repair while other nodes have the pool.
func (d *Driver) alone(ctx context.Context, pool string) error {
	others, err := d.options.Pools.Neighbours(ctx, pool)
	if err != nil || len(others) == 0 {
		return err
	}
	return fmt.Errorf("pool %s is not repaired while other nodes have it mounted: %s. Drain it there first (docker homelab drain %s --hold), or leave --repair out: it is then only checked",
		pool, strings.Join(others, ", "), pool)
}

// takeDown unmounts the pool, and tells who else has it.
func (d *Driver) takeDown(ctx context.Context, drained drained, say func(string, ...any)) error {
	pool := drained.Pool
	switch others, err := d.options.Pools.Neighbours(ctx, pool); {
	case err != nil:
		say("Which other nodes have pool %s mounted is unknown: %v", pool, err)
	case len(others) > 0:
		say("Other nodes have pool %s mounted: %s. A check reads while they write, and may find what is not wrong.", pool, strings.Join(others, ", "))
	}
	d.options.Pools.Refuse(pool, drained.Since, true)
	if configured, ok := d.options.Settings.Current().CatalogPool(); ok && configured.Name == pool {
		d.records.cluster.Detach()
	}
	if err := d.options.Pools.Lower(ctx, pool); err != nil {
		return err
	}
	say("Pool %s is unmounted.", pool)
	return nil
}

func tellVerdict(say func(string, ...any), verdict backend.Verdict, repair bool, err error) {
	switch {
	case verdict.Command == "":
	case verdict.Count == 0 && err == nil:
		say("%s found nothing wrong.", verdict.Command)
	case verdict.Count > 0 && repair:
		say("%s found and repaired %d:\n  %s", verdict.Command, verdict.Count, strings.Join(verdict.Findings, "\n  "))
	case verdict.Count > 0:
		say("%s found %d (--repair repairs them):\n  %s", verdict.Command, verdict.Count, strings.Join(verdict.Findings, "\n  "))
	}
}

// undrain mounts and proves the pool, and starts what was stopped.
func (d *Driver) undrain(ctx context.Context, pool string, say func(string, ...any)) error {
	drained, ok, err := d.drains.read(pool)
	if err != nil {
		return err
	}
	if !ok {
		say("Pool %s is not drained on this node.", pool)
		return nil
	}
	if !drained.Lifted {
		if err := d.options.Pools.Lift(ctx, pool); err != nil {
			return stays(pool, err)
		}
		drained.Lifted = true
		if err := d.drains.write(drained); err != nil {
			return err
		}
		say("Pool %s is mounted and well.", pool)
	}
	d.options.Pools.Admit(pool)
	return d.startStopped(ctx, drained, say)
}

// onPool lists the volumes on a pool.
func (d *Driver) onPool(pool string) []catalog.Record {
	var found []catalog.Record
	for _, record := range d.records.list() {
		if record.Location.Kind == backend.OCFS2 && record.Location.Pool == pool && !record.Location.Standalone {
			found = append(found, record)
		}
	}
	return found
}

func namesOf(volumes []catalog.Record) []string {
	list := make([]string, len(volumes))
	for at, record := range volumes {
		list[at] = record.Name
	}
	return list
}
