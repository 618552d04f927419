package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/plugin/engine"
	"github.com/homelab-storage/homelab-storage/plugin/protocol"
)

// pluginFolder holds a plain plugin's socket, and a folder per managed plugin with its socket.
const (
	pluginFolder = "/run/docker/plugins"
	socketName   = "homelab-storage.sock"
)

// client finds the plugin.
func (s *session) client(ctx context.Context) (*protocol.Client, error) {
	if s.socket != "" {
		return protocol.NewClient(s.socket), nil
	}
	socket, err := find(ctx, pluginFolder, managed)
	if err != nil {
		return nil, err
	}
	return protocol.NewClient(socket), nil
}

// find gives the plain plugin's socket when somebody answers there, else that of the managed plugin.
func find(ctx context.Context, folder string, managed func(context.Context) ([]engine.Plugin, error)) (string, error) {
	plain := filepath.Join(folder, socketName)
	if answers(ctx, plain) {
		return plain, nil
	}
	found, err := filepath.Glob(filepath.Join(folder, "*", socketName))
	switch {
	case err != nil:
		return "", fmt.Errorf("looking for the plugin: %w", err)
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return choose(ctx, folder, found, managed)
	case os.Geteuid() != 0:
		return "", errors.New("no plugin found, and only root sees its socket: try again with sudo")
	}
	return "", fmt.Errorf("no plugin found: neither %s nor %s answers. Is it enabled (docker plugin ls), or is the daemon running?",
		plain, filepath.Join(folder, "*", socketName))
}

// choose asks the engine which of several managed plugins is enabled.
func choose(ctx context.Context, folder string, found []string, managed func(context.Context) ([]engine.Plugin, error)) (string, error) {
	enabled, err := managed(ctx)
	if err != nil {
		return "", fmt.Errorf("several plugins have a socket; choose one with --socket: %s: %w", strings.Join(found, ", "), err)
	}
	if len(enabled) == 1 {
		return filepath.Join(folder, enabled[0].ID, socketName), nil
	}
	var texts []string
	for _, one := range enabled {
		texts = append(texts, fmt.Sprintf("%s (%s)", filepath.Join(folder, one.ID, socketName), one.Name))
	}
	if len(texts) == 0 {
		texts = found
	}
	return "", fmt.Errorf("%s enabled; choose one with --socket: %s", counted(len(enabled), "plugin"), strings.Join(texts, ", "))
}

// answers says whether somebody listens.
func answers(ctx context.Context, socket string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// managed lists the engine's enabled plugins that are ours.
func managed(ctx context.Context) (found []engine.Plugin, err error) {
	here, err := engine.Here()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, here.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return here.Plugins(ctx, socketName)
}
