package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/docker/docker/api/types"
)

// enableSeconds is how long the engine's client waits for each answer of the plugin: more than the longest LEASE_WAIT, and as after a
// start of the engine. `docker plugin enable` alone makes it 30 (FACTS 1).
const enableSeconds = 120

// Enable starts a managed plugin that is disabled.
func (e *Engine) Enable(ctx context.Context, name string) error {
	if err := e.client.PluginEnable(ctx, name, types.PluginEnableOptions{Timeout: enableSeconds}); err != nil {
		return fmt.Errorf("enabling %s: %w", name, err)
	}
	return nil
}

// disable ends a managed plugin, whatever uses it.
func (e *Engine) disable(ctx context.Context, name string) error {
	if err := e.client.PluginDisable(ctx, name, types.PluginDisableOptions{Force: true}); err != nil {
		return fmt.Errorf("disabling %s: %w", name, err)
	}
	return nil
}

// GivenUp says of a plugin whether the engine has disabled it by itself, as it does when it looks for the socket in vain. It keeps that in
// memory only: on disk the plugin is as somebody left it, and the engine's next start would start it (FACTS 1).
func (e *Engine) GivenUp(ctx context.Context, plugin Plugin) (bool, error) {
	if plugin.Enabled {
		return false, nil
	}
	info, err := e.client.Info(ctx)
	if err != nil {
		return false, fmt.Errorf("asking the Docker engine for its folder: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(info.DockerRootDir, "plugins", plugin.ID, "config.json"))
	if err != nil {
		return false, fmt.Errorf("reading whether somebody disabled %s: %w", plugin.Name, err)
	}
	var kept struct {
		Plugin struct{ Enabled bool } `json:"plugin"`
	}
	if err := json.Unmarshal(text, &kept); err != nil {
		return false, fmt.Errorf("reading whether somebody disabled %s: %w", plugin.Name, err)
	}
	return kept.Plugin.Enabled, nil
}
