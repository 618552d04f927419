package drivertest

import (
	"context"
	"slices"
	"sync"

	"github.com/homelab-storage/homelab-storage/driver"
)

// running is the engine's incarnation now, and ended an earlier one.
var running, ended = driver.Engine{PID: 1, Started: 1}, driver.Engine{PID: 2, Started: 1}

// engines is what one process of the plugin sees of an engine that is in no Swarm: its containers, whose calls are points.
type engines struct {
	points     *points
	containers *containers // nil for none that a drain knows
}

var _ driver.Engines = engines{}

// containers are those of a node's engine that a drain stops and starts.
type containers struct {
	world *world
	mu    sync.Mutex // guards all; held for memory work only
	all   []*container
}

// container has one volume, and a use of it while it runs.
type container struct{ id, volume, use string }

func (engines) Swarm(context.Context) (bool, error) { return false, nil }

func (engines) StartFailed(context.Context, func(string) bool) ([]string, error) { return nil, nil }

func (engines) Ended(engine driver.Engine) bool { return engine == ended }

func (e engines) Using(_ context.Context, volumes []string) ([]driver.Container, error) {
	if e.containers == nil {
		return nil, nil
	}
	if err := e.points.step("engine", "using"); err != nil {
		return nil, err
	}
	e.containers.mu.Lock()
	defer e.containers.mu.Unlock()
	var found []driver.Container
	for _, one := range e.containers.all {
		if one.use != "" && slices.Contains(volumes, one.volume) {
			found = append(found, driver.Container{ID: one.id, Name: one.id, Image: "linuxserver/" + one.id, Volumes: []string{one.volume}})
		}
	}
	return found, nil
}

func (e engines) Stop(ctx context.Context, id string) error {
	if err := e.points.step("engine", "stop"); err != nil {
		return err
	}
	e.containers.end(ctx, id)
	return nil
}

func (e engines) Start(ctx context.Context, id string) error {
	if err := e.points.step("engine", "start"); err != nil {
		return err
	}
	return e.containers.begin(ctx, id)
}

// begin has a container run, with its volume mounted.
func (c *containers) begin(ctx context.Context, id string) error {
	one := c.of(id)
	if c.runs(id) {
		return nil
	}
	use := c.world.id()
	if _, err := c.world.node.driver.Mount(ctx, one.volume, use, running); err != nil {
		return err
	}
	c.change(one, use)
	c.world.used(one.volume, use)
	return nil
}

// end has a container end, after which the engine unmounts its volume, once.
func (c *containers) end(ctx context.Context, id string) {
	one := c.of(id)
	use := c.change(one, "")
	if use == "" {
		return
	}
	c.world.unused(one.volume, use)
	_ = c.world.node.driver.Unmount(ctx, one.volume, use)
}

func (c *containers) of(id string) *container {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all[slices.IndexFunc(c.all, func(one *container) bool { return one.id == id })]
}

// runs says whether a container runs.
func (c *containers) runs(id string) bool {
	one := c.of(id)
	c.mu.Lock()
	defer c.mu.Unlock()
	return one.use != ""
}

// change sets a container's use, and gives out the one before.
func (c *containers) change(one *container, use string) (before string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, one.use = one.use, use
	return before
}
