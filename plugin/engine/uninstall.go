package engine

import (
	"context"
	"fmt"
	"slices"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"github.com/homelab-storage/homelab-storage/driver"
)

func isNotFound(err error) bool { return cerrdefs.IsNotFound(err) }

// OfDriver lists the containers that have a volume of a driver, whether they run and whether they do not.
func (e *Engine) OfDriver(ctx context.Context, name string) (running, stopped []driver.Container, err error) {
	listed, err := e.client.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		return nil, nil, fmt.Errorf("asking the Docker engine which containers use volumes of %s: %w", name, err)
	}
	for _, one := range listed {
		found := describe(one, func(point container.MountPoint) bool { return point.Type == mount.TypeVolume && point.Driver == name })
		switch {
		case found == nil:
		case slices.Contains([]container.ContainerState{container.StateRunning, container.StatePaused, container.StateRestarting}, one.State):
			running = append(running, *found)
		default:
			stopped = append(stopped, *found)
		}
	}
	return running, stopped, nil
}

// RemovePlugin disables a plugin and removes it, whatever volumes of it the engine knows. One that is gone is success.
func (e *Engine) RemovePlugin(ctx context.Context, plugin Plugin) error {
	if plugin.Enabled {
		if err := e.disable(ctx, plugin.Name); err != nil && !isNotFound(err) {
			return err
		}
	}
	if err := e.client.PluginRemove(ctx, plugin.Name, types.PluginRemoveOptions{Force: true}); err != nil && !isNotFound(err) {
		return fmt.Errorf("removing %s: %w", plugin.Name, err)
	}
	return nil
}
