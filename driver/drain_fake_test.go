package driver_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// upkeep is what a test makes the maintenance of a pool say and fail with, and what was asked of it.
type upkeep struct {
	mu      sync.Mutex
	calls   []string
	fails   map[string]error // by call
	others  []string
	verdict backend.Verdict
	refused map[string]bool // pool -> all of it
	// onRefuse is what happens at the moment of a refusal.
	onRefuse func()
}

func (u *upkeep) call(name string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls = append(u.calls, name)
	return u.fails[name]
}

// fail makes a call fail; nil lets it succeed again.
func (u *upkeep) fail(name string, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.fails == nil {
		u.fails = map[string]error{}
	}
	u.fails[name] = err
}

func (u *upkeep) asked() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.calls)
}

func (u *upkeep) Refuse(pool string, _ time.Time, all bool) {
	_ = u.call(fmt.Sprintf("refuse %t", all))
	if u.onRefuse != nil {
		u.onRefuse()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.refused == nil {
		u.refused = map[string]bool{}
	}
	u.refused[pool] = all
}

func (u *upkeep) Admit(pool string) {
	_ = u.call("admit")
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.refused, pool)
}

// refuses says whether the pool's volumes, or with all the pool, are refused.
func (u *upkeep) refuses(all bool) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	whole, refused := u.refused["media-apps"]
	return refused && (whole || !all)
}

func (u *upkeep) Neighbours(context.Context, string) ([]string, error) {
	return u.others, u.call("neighbours")
}

func (u *upkeep) Lower(context.Context, string) error { return u.call("lower") }

func (u *upkeep) CheckDisk(_ context.Context, _ string, repair bool) (backend.Verdict, error) {
	return u.verdict, u.call(fmt.Sprintf("check %t", repair))
}

func (u *upkeep) Lift(context.Context, string) error { return u.call("lift") }

func (u *upkeep) Leave(_ context.Context, pool string) ([]string, error) {
	return []string{"Unmounted " + pool + "."}, u.call("leave")
}

// crowd are the containers that a test has.
type crowd struct {
	mu       sync.Mutex
	running  []driver.Container
	onStop   func(id string) // what the engine does then: it unmounts
	stopped  []string
	started  []string
	problems map[string]error // by "using", "stop", "start"
}

func (c *crowd) Using(_ context.Context, volumes []string) ([]driver.Container, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []driver.Container
	for _, one := range c.running {
		if slices.ContainsFunc(one.Volumes, func(name string) bool { return slices.Contains(volumes, name) }) {
			found = append(found, one)
		}
	}
	return found, c.problems["using"]
}

func (c *crowd) Stop(_ context.Context, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.problems["stop"]; err != nil {
		return err
	}
	c.stopped = append(c.stopped, id)
	c.running = slices.DeleteFunc(c.running, func(one driver.Container) bool { return one.ID == id })
	if c.onStop != nil {
		c.onStop(id)
	}
	return nil
}

func (c *crowd) Start(_ context.Context, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started = append(c.started, id)
	return c.problems["start"]
}
