package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/plugin/engine"
	"github.com/homelab-storage/homelab-storage/plugin/protocol"
)

func (s *session) uninstallCommand() *cobra.Command {
	var purge bool
	command := &cobra.Command{
		Use: "uninstall", Short: "Take the plugin off this node, with all that it has mounted; data stays",
		Long: "Take the plugin off this node: mounts, pools and iSCSI sessions that it made, the heartbeat, the units, this command and the\n" +
			"plugin itself. It is refused while a container uses a volume.\n\n" +
			"The volumes' data, their records and the pool's credentials stay where they are: other nodes go on with them, and so does\n" +
			"this one when the plugin is installed again. --purge also removes this node's settings, credentials and copies of the\n" +
			"records; never a volume's data.",
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			return s.withPlugin(command.Context(), func(here *engine.Engine, plugin engine.Plugin) error {
				return s.uninstall(command.Context(), here, plugin, purge)
			})
		},
	}
	command.Flags().BoolVar(&purge, "purge", false, "remove this node's state and configuration as well")
	return command
}

func (s *session) uninstall(ctx context.Context, here *engine.Engine, plugin engine.Plugin, purge bool) error {
	running, stopped, err := here.OfDriver(ctx, plugin.Name)
	if err != nil {
		return err
	}
	if len(running) > 0 {
		return fmt.Errorf("containers use volumes of the plugin; stop them first:%s", listed(running))
	}
	if err := s.leave(ctx, here, plugin); err != nil {
		return fmt.Errorf("%w\nThe plugin is still installed", err)
	}
	if err := here.RemovePlugin(context.WithoutCancel(ctx), plugin); err != nil {
		return err
	}
	s.forgetUpgrade()
	if err := s.done("Removed the plugin %s.", plugin.Name); err != nil {
		return err
	}
	if err := s.tidy(ctx, purge); err != nil {
		return explained(err)
	}
	if len(stopped) > 0 {
		return s.done("These containers have volumes of the plugin, and do not start without it:%s", listed(stopped))
	}
	return nil
}

func listed(containers []driver.Container) string {
	var text strings.Builder
	for _, one := range containers {
		fmt.Fprintf(&text, "\n  %s (image %s) has %s", one.Name, one.Image, strings.Join(one.Volumes, ", "))
	}
	return text.String()
}

// leave has the plugin take away what it brought. One that is disabled cannot, and may have nothing left to take away.
func (s *session) leave(ctx context.Context, here *engine.Engine, plugin engine.Plugin) error {
	if !plugin.Enabled {
		pools, err := s.machine().Brought()
		if err == nil && len(pools) > 0 {
			err = fmt.Errorf("the plugin is disabled, and only it can take away the pools that it mounted (%s): docker plugin enable %s",
				strings.Join(pools, ", "), plugin.Name)
		}
		return errors.Join(err, here.Leftovers(ctx, plugin))
	}
	lines, err := protocol.NewClient(s.socketOf(plugin)).Leave(ctx)
	for _, line := range lines {
		err = errors.Join(err, s.done("%s", line))
	}
	return err
}

// tidy removes what is left on the host.
func (s *session) tidy(ctx context.Context, purge bool) error {
	machine := s.machine()
	removed, err := machine.Remove(ctx)
	if err != nil {
		return err
	}
	if removed {
		if err := s.done("Removed the units."); err != nil {
			return err
		}
	}
	if err := machine.Forget(); err != nil {
		return err
	}
	if purge {
		kept, err := machine.Purge()
		if err != nil {
			return err
		}
		if kept != "" {
			if err := s.done("Kept %s, which has the data of volumes that are on this node alone.", kept); err != nil {
				return err
			}
		}
	}
	if err := machine.RemoveProgram(); err != nil {
		return err
	}
	return s.done("Removed what the plugin had on this node. The volumes' data is where it was.")
}
