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
	listed, err := e.client.ContainerList(ctx, container.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("asking the Docker engine which containers use the volumes: %w", err)
	}
	var found []driver.Container
	for _, one := range listed {
		described := describe(one, func(point container.MountPoint) bool {
			return point.Type == mount.TypeVolume && slices.Contains(volumes, point.Name)
		})
		if described != nil {
			found = append(found, *described)
		}
	}
	return found, nil
}

// describe tells of a container with its volumes that match; nil when it has none.
func describe(one container.Summary, match func(container.MountPoint) bool) *driver.Container {
	var volumes []string
	for _, point := range one.Mounts {
		if match(point) {
			volumes = append(volumes, point.Name)
		}
	}
	if len(volumes) == 0 {
		return nil
	}
	name := one.ID
	if len(one.Names) > 0 {
		name = strings.TrimPrefix(one.Names[0], "/")
	}
	return &driver.Container{ID: one.ID, Name: name, Image: one.Image, Volumes: volumes, Service: one.Labels[serviceLabel]}
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
