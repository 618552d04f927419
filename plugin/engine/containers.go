package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"github.com/homelab-storage/homelab-storage/driver"
)

// serviceLabel is what Swarm writes on the containers of its tasks (moby daemon/cluster/executor/container/container.go).
const serviceLabel = "com.docker.swarm.service.name"

// Using lists the running containers that have any of these volumes, paused and restarting ones included.
func (e *Engine) Using(ctx context.Context, volumes []string) ([]driver.Container, error) {
	return e.with(ctx, volumes, false)
}

// Referring lists all containers that have any of these volumes, those that do not run included.
func (e *Engine) Referring(ctx context.Context, volumes []string) ([]driver.Container, error) {
	return e.with(ctx, volumes, true)
}

func (e *Engine) with(ctx context.Context, volumes []string, all bool) ([]driver.Container, error) {
	listed, err := e.client.ContainerList(ctx, container.ListOptions{All: all})
	if err != nil {
		return nil, fmt.Errorf("asking the Docker engine which containers use the volumes: %w", err)
	}
	var found []driver.Container
	for _, one := range listed {
		var uses []string
		for _, point := range one.Mounts {
			if point.Type == mount.TypeVolume && slices.Contains(volumes, point.Name) {
				uses = append(uses, point.Name)
			}
		}
		if len(uses) == 0 {
			continue
		}
		name := one.ID
		if len(one.Names) > 0 {
			name = strings.TrimPrefix(one.Names[0], "/")
		}
		found = append(found, driver.Container{ID: one.ID, Name: name, Image: one.Image, Volumes: uses, Service: one.Labels[serviceLabel]})
	}
	return found, nil
}

// Stop stops a container with the signal and the grace period that it was made with.
func (e *Engine) Stop(ctx context.Context, id string) error {
	if err := e.client.ContainerStop(ctx, id, container.StopOptions{}); err != nil && !cerrdefs.IsNotFound(err) {
		return fmt.Errorf("stopping the container %.12s: %w", id, err)
	}
	return nil
}

// Start starts a container.
func (e *Engine) Start(ctx context.Context, id string) error {
	if err := e.client.ContainerStart(ctx, id, container.StartOptions{}); err != nil && !cerrdefs.IsNotFound(err) {
		return fmt.Errorf("starting the container %.12s: %w", id, err)
	}
	return nil
}
