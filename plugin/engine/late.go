package engine

import (
	"context"
	"fmt"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/hashicorp/go-multierror"

	"github.com/homelab-storage/homelab-storage/internal/several"
)

// StartFailed starts the containers whose last start failed with a text that matches and whose restart policy wants them
// up, and returns their names (DESIGN D15): the engine does not try again by itself. The error of a start is kept until the
// next one succeeds (moby daemon/start.go), and a container that a person stopped has none, so nobody's wish is undone.
// Tasks of a Swarm have no restart policy and are left to Swarm.
func (e *Engine) StartFailed(ctx context.Context, match func(text string) bool) ([]string, error) {
	listed, err := e.client.ContainerList(ctx, container.ListOptions{
		All: true, Filters: filters.NewArgs(filters.Arg("status", "created"), filters.Arg("status", "exited")),
	})
	if err != nil {
		return nil, fmt.Errorf("asking the Docker engine for its containers: %w", err)
	}
	var started []string
	var problems *multierror.Error
	for _, one := range listed {
		name, err := e.startIfFailed(ctx, one.ID, match)
		problems = several.Append(problems, err)
		if name != "" {
			started = append(started, name)
		}
	}
	return started, problems.ErrorOrNil()
}

// startIfFailed starts one container if it is one of those, and gives its name; "" otherwise.
func (e *Engine) startIfFailed(ctx context.Context, id string, match func(string) bool) (string, error) {
	found, err := e.client.ContainerInspect(ctx, id)
	if err != nil {
		return "", fmt.Errorf("asking the Docker engine for the container %.12s: %w", id, err)
	}
	if found.ContainerJSONBase == nil || found.State == nil || found.HostConfig == nil {
		return "", nil
	}
	if found.State.Running || found.State.Restarting || !match(found.State.Error) || !wanted(found.HostConfig.RestartPolicy) {
		return "", nil
	}
	name := strings.TrimPrefix(found.Name, "/")
	if err := e.client.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
		return "", fmt.Errorf("starting the container %s: %w", name, err)
	}
	return name, nil
}

// wanted says whether a policy wants a container up after a failed start.
func wanted(policy container.RestartPolicy) bool {
	return policy.IsAlways() || policy.IsUnlessStopped() || policy.IsOnFailure()
}
