package cli

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/plugin/engine"
	"github.com/homelab-storage/homelab-storage/plugin/protocol"
)

// startLimit is how long a plugin that the engine calls enabled may take until it answers.
const startLimit = time.Minute

func (s *session) upgradeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "upgrade REF|FOLDER", Short: "Replace the plugin by another version while containers run",
		Long: "Replace the plugin by another version while containers run.\n\n" +
			"REF is an image of a registry, such as ghcr.io/someone/homelab-storage:1.1.0; FOLDER, which begins with / or a dot, is what\n" +
			"scripts/build-plugin makes. Containers keep their volumes and go on; settings are kept. When anything fails, the old\n" +
			"version is enabled again.",
		Args: between(1, 1),
		RunE: func(command *cobra.Command, arguments []string) error {
			return s.withPlugin(command.Context(), func(here *engine.Engine, plugin engine.Plugin) error {
				return s.upgrade(command.Context(), here, plugin, arguments[0])
			})
		},
	}
}

// errNoPlugin says that none of ours is installed.
var errNoPlugin = errors.New("the engine has no managed plugin of homelab-storage (docker plugin ls); a plain daemon is upgraded and removed by hand")

// theOne is the managed plugin; of several the one that is enabled.
func theOne(ctx context.Context, here *engine.Engine) (engine.Plugin, error) {
	all, err := here.Installed(ctx, socketName)
	if err != nil {
		return engine.Plugin{}, err
	}
	var enabled []engine.Plugin
	for _, one := range all {
		if one.Enabled {
			enabled = append(enabled, one)
		}
	}
	switch {
	case len(enabled) == 1:
		return enabled[0], nil
	case len(all) == 1:
		return all[0], nil
	case len(all) == 0:
		return engine.Plugin{}, errNoPlugin
	}
	return engine.Plugin{}, fmt.Errorf("the engine has %d plugins of homelab-storage, %d of them enabled; remove those that you do not use (docker plugin ls)", len(all), len(enabled))
}

func (s *session) upgrade(ctx context.Context, here *engine.Engine, plugin engine.Plugin, from string) error {
	before, _ := s.healthOf(ctx, plugin) // one that does not work is a reason to upgrade
	// Half an upgrade would be worse than one that nobody sees: a terminal that goes away does not end it.
	signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE)
	record, err := s.recordOf(ctx, here, plugin)
	if err != nil {
		return err
	}
	err = here.Upgrade(ctx, plugin.Name, from, engine.UpgradeOptions{Settings: record.Settings, Disabling: func() { s.begin(record) }, Say: s.tell})
	s.settle(context.WithoutCancel(ctx), here)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startLimit)
	defer cancel()
	after, err := s.awaitHealth(ctx, here)
	if err != nil {
		return fmt.Errorf("the new version is enabled, and does not answer yet: %w", err)
	}
	return errors.Join(s.done("Upgraded from %s to %s; %s in use.", dash(before.Version), after.Version, counted(after.Mounted, "volume")),
		s.startMissed(ctx, here, plugin))
}

// healthOf asks a managed plugin how it is.
func (s *session) healthOf(ctx context.Context, plugin engine.Plugin) (driver.Health, error) {
	return protocol.NewClient(s.socketOf(plugin)).Health(ctx)
}

func (s *session) socketOf(plugin engine.Plugin) string {
	if s.socket != "" {
		return s.socket
	}
	return filepath.Join(pluginFolder, plugin.ID, socketName)
}

// awaitHealth asks until there is an answer; the plugin's ID may be a new one.
func (s *session) awaitHealth(ctx context.Context, here *engine.Engine) (driver.Health, error) {
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for {
		plugin, err := theOne(ctx, here)
		if err == nil {
			health, problem := s.healthOf(ctx, plugin)
			if problem == nil {
				return health, nil
			}
			err = problem
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return driver.Health{}, err
		}
	}
}
