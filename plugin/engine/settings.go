package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/docker/docker/api/types"
)

// EnableWith gives a plugin that is disabled its settings and starts it: a new installation has none, and an upgrade resets the sources of
// mounts and the paths of devices, while inspect shows the old ones (FACTS 1). A setting that the version does not have is told, and left
// out.
func (e *Engine) EnableWith(ctx context.Context, name string, settings []string, say Say) error {
	for _, setting := range settings {
		if err := e.client.PluginSet(ctx, name, []string{setting}); err != nil {
			key, _, _ := strings.Cut(setting, "=") // a value may be a secret
			say("The setting %s is not taken over: %v", key, err)
		}
	}
	return e.Enable(ctx, name)
}

// Settings are those of a plugin that are not the default, as `docker plugin set` takes them.
func (e *Engine) Settings(ctx context.Context, name string) ([]string, error) {
	plugin, _, err := e.client.PluginInspectWithRaw(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("asking the Docker engine for the plugin %s: %w", name, err)
	}
	return settings(plugin), nil
}

// settings are [Engine.Settings] of what inspect said.
func settings(plugin *types.Plugin) []string {
	var list []string
	for _, env := range plugin.Config.Env {
		if text, changed := changed(env, plugin.Settings.Env); changed {
			list = append(list, text)
		}
	}
	for _, mount := range plugin.Settings.Mounts {
		if mount.Name != "" && mount.Source != nil && slices.Contains(mount.Settable, "source") {
			list = append(list, mount.Name+".source="+*mount.Source)
		}
	}
	for _, device := range plugin.Settings.Devices {
		if device.Name != "" && device.Path != nil && slices.Contains(device.Settable, "path") {
			list = append(list, device.Name+".path="+*device.Path)
		}
	}
	return list
}

// changed finds a variable among NAME=value, if it is not as in config.json.
func changed(env types.PluginEnv, texts []string) (string, bool) {
	standard := env.Name + "="
	if env.Value != nil {
		standard += *env.Value
	}
	i := slices.IndexFunc(texts, func(text string) bool { return strings.HasPrefix(text, env.Name+"=") })
	if i < 0 || texts[i] == standard {
		return "", false
	}
	return texts[i], true
}
