package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/plugin/protocol"
)

func (s *session) drainCommand() *cobra.Command {
	var options driver.DrainOptions
	command := &cobra.Command{
		Use: "drain POOL", Short: "Take a pool out of use on this node, check it, and bring it back",
		Long: "Take a pool out of use on this node, check it, and bring it back: for a pool that made itself read-only after an error.\n\n" +
			"Its volumes are refused to new containers; the pool is unmounted, looked through with fsck.ocfs2, mounted again and proven.\n" +
			"Containers that use it must be stopped first; with --stop they are stopped, with their own grace period, and started\n" +
			"again at the end. Other nodes go on with the pool: then the check only reads, and may find what is not wrong.\n\n" +
			"It goes on when this command is interrupted; run the command again to see how far it is, or to go on after a failure.",
		Args: between(1, 1),
		RunE: func(command *cobra.Command, arguments []string) error {
			return s.follow(command.Context(), arguments[0], func(ctx context.Context, client *protocol.Client) (driver.DrainReport, error) {
				return client.Drain(ctx, arguments[0], options)
			})
		},
	}
	flags := command.Flags()
	flags.BoolVar(&options.Stop, "stop", false, "stop the containers that use the pool, and start them again at the end")
	flags.BoolVar(&options.Repair, "repair", false, "let fsck.ocfs2 repair what it finds; refused while another node has the pool mounted")
	flags.BoolVar(&options.Hold, "hold", false, "leave the pool unmounted, until undrain")
	return command
}

func (s *session) undrainCommand() *cobra.Command {
	return &cobra.Command{
		Use: "undrain POOL", Short: "Mount a drained pool again, and start what the drain stopped", Args: between(1, 1),
		RunE: func(command *cobra.Command, arguments []string) error {
			return s.follow(command.Context(), arguments[0], func(ctx context.Context, client *protocol.Client) (driver.DrainReport, error) {
				return client.Undrain(ctx, arguments[0])
			})
		},
	}
}

// follow begins what may take long and says what is done, as it is done, until the end.
func (s *session) follow(ctx context.Context, pool string, begin func(context.Context, *protocol.Client) (driver.DrainReport, error)) error {
	client, err := s.client(ctx)
	if err != nil {
		return err
	}
	report, problem := begin(ctx, client)
	for seen := 0; ; {
		for _, line := range report.Lines[min(seen, len(report.Lines)):] {
			if err := s.done("%s", line); err != nil {
				return err
			}
		}
		seen = len(report.Lines)
		if problem != nil || report.Ended {
			return problem
		}
		report, problem = client.DrainProgress(ctx, pool, seen)
	}
}
