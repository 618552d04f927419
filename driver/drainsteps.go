package driver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/go-multierror"

	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/internal/several"
)

// clear stops the containers of a pool that is refused to new ones, if it may, and unmounts its volumes.
func (d *Driver) clear(ctx context.Context, drained drained, volumes []catalog.Record, stop bool, say func(string, ...any)) error {
	for round := 0; ; round++ {
		using, err := d.options.Engines.Using(ctx, namesOf(volumes))
		if err != nil {
			return err
		}
		if len(using) == 0 {
			break
		}
		if !stop || round == stopRounds { // one that was starting when the drain began
			return inUse(drained.Pool, using)
		}
		if drained, err = d.stopAll(ctx, drained, using, say); err != nil {
			return err
		}
	}
	if err := d.unbindAll(ctx, volumes); err != nil {
		return err
	}
	d.released(ctx, volumes)
	return nil
}

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

// stopAll stops containers, all at once, and remembers them first.
func (d *Driver) stopAll(ctx context.Context, drained drained, using []Container, say func(string, ...any)) (drained, error) {
	for _, one := range using {
		if !slices.ContainsFunc(drained.Stopped, func(known stopped) bool { return known.ID == one.ID }) {
			drained.Stopped = append(drained.Stopped, stopped{ID: one.ID, Name: one.Name, Service: one.Service})
		}
	}
	if err := d.drains.write(drained); err != nil {
		return drained, err
	}
	failures := make([]error, len(using))
	var group sync.WaitGroup
	for at, one := range using {
		group.Go(func() { failures[at] = d.options.Engines.Stop(ctx, one.ID) })
	}
	group.Wait()
	for at, one := range using {
		if failures[at] == nil {
			say("Stopped %s, which had %s.", one.Name, strings.Join(one.Volumes, ", "))
		}
	}
	return drained, several.Append(nil, failures...).ErrorOrNil()
}

// unbind unmounts one volume, unless something uses it. Uses that the engine never took back stay counted, for the sweep.
func (d *Driver) unbind(ctx context.Context, record catalog.Record) error {
	unlock, err := d.locks.Lock(ctx, record.Name)
	if err != nil {
		return fmt.Errorf("volume %q: another call for it is still going on: %w", record.Name, err)
	}
	defer unlock()
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

// startStopped starts what a drain stopped, and then forgets the drain. Swarm starts its tasks itself.
func (d *Driver) startStopped(ctx context.Context, drained drained, say func(string, ...any)) error {
	var problems *multierror.Error
	for _, one := range drained.Stopped {
		if one.Service != "" {
			say("%s was a task of the Swarm service %s, which starts its tasks itself.", one.Name, one.Service)
			continue
		}
		err := d.options.Engines.Start(ctx, one.ID)
		problems = several.Append(problems, err)
		if err == nil {
			say("Started %s.", one.Name)
		}
	}
	if err := problems.ErrorOrNil(); err != nil {
		return fmt.Errorf("pool %s is mounted and its volumes can be used, but not all of its containers were started: %w", drained.Pool, err)
	}
	return d.drains.forget(drained.Pool)
}

// refuseDrained keeps the pools drained that were, before anything could mount them.
func (d *Driver) refuseDrained() error {
	list, err := d.drains.list()
	for _, drained := range list {
		if !drained.Lifted {
			d.options.Pools.Refuse(drained.Pool, drained.Since, true)
		}
	}
	return err
}

// finishDrains starts what a crash in the very last step of a drain left stopped.
func (d *Driver) finishDrains(ctx context.Context) {
	list, err := d.drains.list()
	if err != nil {
		d.log.WithError(err).Error("the drained pools could not be read")
	}
	for _, drained := range list {
		if !drained.Lifted || d.drains.going(drained.Pool) {
			continue
		}
		log := d.log.WithField("pool", drained.Pool)
		if err := d.startStopped(ctx, drained, func(format string, arguments ...any) {
			log.WithField("text", fmt.Sprintf(format, arguments...)).Info("a drain is ended")
		}); err != nil {
			log.WithError(err).Warn("the containers that a drain stopped are not all started yet")
		}
	}
}
