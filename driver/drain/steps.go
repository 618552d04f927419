package drain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/go-multierror"

	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/internal/several"
)

// stopRounds bounds how often containers are looked for that had their mount and were not running yet.
const stopRounds = 3

func (k *Keeper) drain(ctx context.Context, pool string, request Request, say say) error {
	volumes := k.options.Volumes.On(pool)
	using, err := k.options.Containers.Using(ctx, catalog.Names(volumes))
	if err != nil {
		return err
	}
	if len(using) > 0 && !request.Stop {
		return inUse(pool, using)
	}
	if request.Repair {
		if err := k.alone(ctx, pool); err != nil {
			return err
		}
	}
	drained, err := k.open(pool)
	if err != nil {
		return err
	}
	k.options.Pools.Refuse(pool, drained.Since, false)
	say("No volume of pool %s is mounted on this node any more, until the end.", pool)
	if err := k.clear(ctx, drained, volumes, request.Stop, say); err != nil {
		return stays(pool, err)
	}
	if err := k.takeDown(ctx, drained, say); err != nil {
		return stays(pool, err)
	}
	if request.Hold {
		say("It stays so until you write: docker homelab undrain %s", pool)
		return nil
	}
	verdict, err := k.options.Pools.CheckDisk(ctx, pool, request.Repair)
	tellVerdict(say, verdict, request.Repair, err)
	if err != nil {
		return stays(pool, err)
	}
	return k.undrain(ctx, pool, say)
}

// alone refuses a repair while other nodes have the pool.
func (k *Keeper) alone(ctx context.Context, pool string) error {
	others, err := k.options.Pools.Neighbours(ctx, pool)
	if err != nil || len(others) == 0 {
		return err
	}
	return fmt.Errorf("pool %s is not repaired while other nodes have it mounted: %s. Drain it there first (docker homelab drain %s --hold), or leave --repair out: it is then only checked",
		pool, strings.Join(others, ", "), pool)
}

// clear stops the containers of a pool that is refused to new ones, if it may, and unmounts its volumes.
func (k *Keeper) clear(ctx context.Context, drained drained, volumes []catalog.Record, stop bool, say say) error {
	for round := 0; ; round++ {
		using, err := k.options.Containers.Using(ctx, catalog.Names(volumes))
		if err != nil {
			return err
		}
		if len(using) == 0 {
			break
		}
		if !stop || round == stopRounds { // one that was starting when the drain began
			return inUse(drained.Pool, using)
		}
		if drained, err = k.stopAll(ctx, drained, using, say); err != nil {
			return err
		}
	}
	return k.options.Volumes.Vacate(ctx, volumes)
}

// stopAll stops containers, all at once, and remembers them first.
func (k *Keeper) stopAll(ctx context.Context, drained drained, using []Container, say say) (drained, error) {
	for _, one := range using {
		if !slices.ContainsFunc(drained.Stopped, func(known stopped) bool { return known.ID == one.ID }) {
			drained.Stopped = append(drained.Stopped, stopped{ID: one.ID, Name: one.Name, Service: one.Service})
		}
	}
	if err := k.write(drained); err != nil {
		return drained, err
	}
	failures := make([]error, len(using))
	var group sync.WaitGroup
	for at, one := range using {
		group.Go(func() { failures[at] = k.options.Containers.Stop(ctx, one.ID) })
	}
	group.Wait()
	for at, one := range using {
		if failures[at] == nil {
			say("Stopped %s, which had %s.", one.Name, strings.Join(one.Volumes, ", "))
		}
	}
	return drained, several.Append(nil, failures...).ErrorOrNil()
}

// takeDown unmounts the pool, and tells who else has it.
func (k *Keeper) takeDown(ctx context.Context, drained drained, say say) error {
	pool := drained.Pool
	switch others, err := k.options.Pools.Neighbours(ctx, pool); {
	case err != nil:
		say("Which other nodes have pool %s mounted is unknown: %v", pool, err)
	case len(others) > 0:
		say("Other nodes have pool %s mounted: %s. A check reads while they write, and may find what is not wrong.", pool, strings.Join(others, ", "))
	}
	k.options.Pools.Refuse(pool, drained.Since, true)
	k.options.Volumes.LetGo(pool)
	if err := k.options.Pools.Lower(ctx, pool); err != nil {
		return err
	}
	say("Pool %s is unmounted.", pool)
	return nil
}

// undrain mounts and proves the pool, and starts what was stopped.
func (k *Keeper) undrain(ctx context.Context, pool string, say say) error {
	drained, ok, err := k.read(pool)
	if err != nil {
		return err
	}
	if !ok {
		say("Pool %s is not drained on this node.", pool)
		return nil
	}
	if !drained.Lifted {
		if err := k.options.Pools.Lift(ctx, pool); err != nil {
			return stays(pool, err)
		}
		drained.Lifted = true
		if err := k.write(drained); err != nil {
			return err
		}
		say("Pool %s is mounted and well.", pool)
	}
	k.options.Pools.Admit(pool)
	return k.startStopped(ctx, drained, say)
}

// startStopped starts what a drain stopped, and then forgets the drain. Swarm starts its tasks itself. What was started is forgotten at
// once: while another one cannot start, this is tried again and again, and it may have ended, or a person may have stopped it.
func (k *Keeper) startStopped(ctx context.Context, drained drained, say say) error {
	if len(drained.Stopped) == 0 {
		return k.forget(drained)
	}
	var problems, unforgotten *multierror.Error
	for _, one := range drained.Stopped {
		if err := k.startOne(ctx, one, say); err != nil {
			problems = several.Append(problems, err)
			continue
		}
		unforgotten = several.Append(unforgotten, k.forget(drained, one))
	}
	err := problems.ErrorOrNil()
	if err != nil {
		err = fmt.Errorf("pool %s is mounted and its volumes can be used, but not all of its containers were started: %w", drained.Pool, err)
	}
	return errors.Join(err, unforgotten.ErrorOrNil())
}

func (k *Keeper) startOne(ctx context.Context, one stopped, say say) error {
	if one.Service != "" {
		say("%s was a task of the Swarm service %s, which starts its tasks itself.", one.Name, one.Service)
		return nil
	}
	if err := k.options.Containers.Start(ctx, one.ID); err != nil {
		return err
	}
	say("Started %s.", one.Name)
	return nil
}
