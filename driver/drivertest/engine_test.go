package drivertest

import (
	"context"

	"github.com/homelab-storage/homelab-storage/driver"
)

// running is the engine's incarnation now, and ended an earlier one.
var running, ended = driver.Engine{PID: 1, Started: 1}, driver.Engine{PID: 2, Started: 1}

// engines is an engine that runs all the time, is in no Swarm and knows of no container.
type engines struct{ driver.Engines }

func (engines) Swarm(context.Context) (bool, error) { return false, nil }

func (engines) StartFailed(context.Context, func(string) bool) ([]string, error) { return nil, nil }

func (engines) Using(context.Context, []string) ([]driver.Container, error) { return nil, nil }

func (engines) Ended(engine driver.Engine) bool { return engine == ended }
