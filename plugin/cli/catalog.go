package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/homelab-storage/homelab-storage/plugin/protocol"
)

func (s *session) catalogCommand() *cobra.Command {
	return group("catalog", "Repair the cluster's volume records after the catalog pool was replaced or rolled back",
		s.catalogAct("adopt", "Take the records on the catalog pool as the right ones",
			"Take the records on the catalog pool as the right ones, and forget what only this node knew.\n\n"+
				"Use it when the pool was made anew on purpose, or when it is right and this node is not.",
			func(command *cobra.Command, client *protocol.Client) error {
				lost, err := client.CatalogAdopt(command.Context())
				if err != nil {
					return err
				}
				if len(lost) == 0 {
					return s.done("The catalog on the pool is the right one now; this node knew no other volumes.")
				}
				return s.done("The catalog on the pool is the right one now. Only this node knew: %s.\nTheir data was not touched.", strings.Join(lost, ", "))
			}),
		s.catalogAct("restore", "Write the records that this node knows onto the catalog pool",
			"Write the records that this node knows onto the catalog pool.\n\n"+
				"Use it when the pool was rolled back or lost its records, and this node still has them.",
			func(command *cobra.Command, client *protocol.Client) error {
				count, err := client.CatalogRestore(command.Context())
				if err != nil {
					return err
				}
				return s.done("Wrote %s onto the catalog pool.", counted(count, "record"))
			}))
}

func (s *session) catalogAct(use, short, long string, act func(*cobra.Command, *protocol.Client) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: long, Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			client, err := s.client(command.Context())
			if err != nil {
				return err
			}
			return act(command, client)
		},
	}
}
