package engine

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/client"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/plugin/process"
)

// DefaultSocket is where the engine listens on the host, unless DOCKER_HOST names another unix socket.
const DefaultSocket = "/var/run/docker.sock"

// Engine is the Docker engine of this host. Its methods may be called at once.
type Engine struct{ client *client.Client }

// Socket is the engine's socket, a path of the host, as the environment says.
func Socket(get func(string) string) string {
	if path, ok := strings.CutPrefix(get("DOCKER_HOST"), "unix://"); ok {
		return path
	}
	return DefaultSocket
}

// New makes an engine behind a socket of the host; it connects with the first call, and finds the socket anew each time.
func New(hostPath func(string) string, socket string) (*Engine, error) {
	var dialer net.Dialer
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", hostPath(socket))
	}
	made, err := client.NewClientWithOpts(client.WithHost("unix://"+socket), client.WithDialContext(dial), client.WithAPIVersionNegotiation())
	if err != nil {
		return nil, fmt.Errorf("making a client of the Docker engine: %w", err)
	}
	return &Engine{made}, nil
}

// Close ends idle connections.
func (e *Engine) Close() error { return e.client.Close() }

// Swarm says whether this node is a member of a Swarm, one that is pending or locked included.
func (e *Engine) Swarm(ctx context.Context) (bool, error) {
	info, err := e.client.Info(ctx)
	if err != nil {
		return false, fmt.Errorf("asking the Docker engine whether this node is in a Swarm: %w", err)
	}
	switch info.Swarm.LocalNodeState {
	case swarm.LocalNodeStateActive, swarm.LocalNodeStatePending, swarm.LocalNodeStateLocked:
		return true, nil
	case swarm.LocalNodeStateInactive, swarm.LocalNodeStateError:
	}
	return false, nil
}

// Ended says whether an incarnation of the engine is certainly gone.
func (e *Engine) Ended(engine driver.Engine) bool { return process.Ended(engine) }

// Plugin is a managed plugin.
type Plugin struct {
	ID, Name string
	Enabled  bool
}

// Plugins lists the enabled plugins that serve a socket of that name.
func (e *Engine) Plugins(ctx context.Context, socket string) ([]Plugin, error) {
	all, err := e.client.PluginList(ctx, filters.NewArgs(filters.Arg("enabled", "true")))
	if err != nil {
		return nil, fmt.Errorf("asking the Docker engine for its plugins: %w", err)
	}
	var found []Plugin
	for _, one := range all {
		if one.Config.Interface.Socket == socket {
			found = append(found, Plugin{ID: one.ID, Name: one.Name, Enabled: one.Enabled})
		}
	}
	return found, nil
}

// Installed lists the managed plugins that serve a socket of that name, those that are disabled included.
func (e *Engine) Installed(ctx context.Context, socket string) ([]Plugin, error) {
	all, err := e.client.PluginList(ctx, filters.NewArgs())
	if err != nil {
		return nil, fmt.Errorf("asking the Docker engine for its plugins: %w", err)
	}
	var found []Plugin
	for _, one := range all {
		if one.Config.Interface.Socket == socket {
			found = append(found, Plugin{ID: one.ID, Name: one.Name, Enabled: one.Enabled})
		}
	}
	return found, nil
}

// OnThisHost is the identity, for a process in the host's own namespaces.
func OnThisHost(path string) string { return path }

// Here is the engine as a command on the host reaches it.
func Here() (*Engine, error) { return New(OnThisHost, Socket(os.Getenv)) }
