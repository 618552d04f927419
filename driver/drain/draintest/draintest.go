// Package draintest has stand-ins for those whom a drain asks: the pools' backend, and the engine's containers. A test sets their
// fields before a drain begins; what was asked of them is written down.
package draintest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/drain"
)

// Pools is the maintenance of pools. The zero Pools does all that it is asked.
type Pools struct {
	Others  []string        // nodes that have a pool mounted
	Verdict backend.Verdict // of every check
	// OnRefuse, when set, is what happens at the moment of a refusal.
	OnRefuse func()

	mu      sync.Mutex // guards what follows
	calls   []string
	fails   map[string]error // by call
	refused map[string]bool  // pool -> all of it
}

var _ backend.Upkeep = (*Pools)(nil)

func (p *Pools) call(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, name)
	return p.fails[name]
}

// Fail makes a call fail, as Calls has it; nil lets it succeed again.
func (p *Pools) Fail(name string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fails == nil {
		p.fails = map[string]error{}
	}
	p.fails[name] = err
}

// Calls are the names of the calls, in their order, with what says how much: "refuse true" is that of the whole pool, "check true"
// that with a repair.
func (p *Pools) Calls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.calls)
}

// Note writes down what a test itself is asked for, among the calls.
func (p *Pools) Note(name string) { _ = p.call(name) }

// Refuses says whether a pool's volumes, or with all the pool, are refused.
func (p *Pools) Refuses(pool string, all bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	whole, refused := p.refused[pool]
	return refused && (whole || !all)
}

// Refuse is remembered until Admit.
func (p *Pools) Refuse(pool string, _ time.Time, all bool) {
	_ = p.call(fmt.Sprintf("refuse %t", all))
	if p.OnRefuse != nil {
		p.OnRefuse()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refused == nil {
		p.refused = map[string]bool{}
	}
	p.refused[pool] = all
}

// Admit ends a refusal.
func (p *Pools) Admit(pool string) {
	_ = p.call("admit")
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.refused, pool)
}

// Neighbours are Others.
func (p *Pools) Neighbours(context.Context, string) ([]string, error) {
	return p.Others, p.call("neighbours")
}

// Lower does nothing.
func (p *Pools) Lower(context.Context, string) error { return p.call("lower") }

// CheckDisk gives the Verdict.
func (p *Pools) CheckDisk(_ context.Context, _ string, repair bool) (backend.Verdict, error) {
	return p.Verdict, p.call(fmt.Sprintf("check %t", repair))
}

// Lift does nothing.
func (p *Pools) Lift(context.Context, string) error { return p.call("lift") }

// Retired does nothing.
func (p *Pools) Retired(context.Context) error { return p.call("retired") }

// Leave says that it unmounted the pool.
func (p *Pools) Leave(_ context.Context, pool string) ([]string, error) {
	return []string{"Unmounted " + pool + "."}, p.call("leave")
}

// Disconnect has nothing to say.
func (p *Pools) Disconnect(context.Context, string) ([]string, error) {
	return nil, p.call("disconnect")
}

// Containers are those of an engine.
type Containers struct {
	Running  []drain.Container
	OnStop   func(id string)  // what the engine does then: it unmounts
	OnStart  func(id string)  // before it runs; it may wait, and other calls go on
	Problems map[string]error // by "using", "stop", "start", or "start ID" for one of them
	// Stopped and Started are the IDs of those that were, in their order.
	Stopped, Started []string

	mu sync.Mutex // held during each call, but not for OnStart
}

var _ drain.Containers = (*Containers)(nil)

// Using finds those of Running.
func (c *Containers) Using(_ context.Context, volumes []string) ([]drain.Container, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []drain.Container
	for _, one := range c.Running {
		if slices.ContainsFunc(one.Volumes, func(name string) bool { return slices.Contains(volumes, name) }) {
			found = append(found, one)
		}
	}
	return found, c.Problems["using"]
}

// Stop takes one from Running.
func (c *Containers) Stop(_ context.Context, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.Problems["stop"]; err != nil {
		return err
	}
	c.Stopped = append(c.Stopped, id)
	c.Running = slices.DeleteFunc(c.Running, func(one drain.Container) bool { return one.ID == id })
	if c.OnStop != nil {
		c.OnStop(id)
	}
	return nil
}

// Start notes the attempt.
func (c *Containers) Start(_ context.Context, id string) error {
	if c.OnStart != nil {
		c.OnStart(id)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Started = append(c.Started, id)
	if err := c.Problems["start "+id]; err != nil {
		return err
	}
	return c.Problems["start"]
}
