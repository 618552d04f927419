package driver_test

import (
	"context"
	"sync"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/drain/draintest"
)

// engines is a Docker engine of which a test says whether it ended and what it starts.
type engines struct {
	draintest.Containers
	mu      sync.Mutex
	ended   map[driver.Engine]bool
	swarm   bool
	failed  []string // error texts of containers that failed to start
	started []string
}

func (e *engines) Swarm(context.Context) (bool, error) { return e.swarm, nil }

func (e *engines) StartFailed(_ context.Context, match func(string) bool) ([]string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, text := range e.failed {
		if match(text) {
			e.started = append(e.started, text)
		}
	}
	return e.started, nil
}

func (e *engines) Ended(engine driver.Engine) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ended[engine]
}

func (e *engines) end(engine driver.Engine) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended[engine] = true
}
