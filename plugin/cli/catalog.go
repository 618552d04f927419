package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/homelab-storage/homelab-storage/plugin/protocol"
)

func (s *session) catalogCommand() *cobra.Command {
	return group("catalog", "Repair the cluster's volume records after the catalog pool was replaced or rolled back",
		s.catalogAct("adopt", "Take the records on the catalog pool as the right ones",
			"Take the records on the catalog pool as the right ones, and forget the volumes that only this node knew. Credentials for all nodes "+
				"that the pool does not have are written to it.\n\n"+
				"Use it when the pool was made anew on purpose, or when it is right and this node is not.",
			func(command *cobra.Command, client *protocol.Client) error {
				repair, err := client.CatalogAdopt(command.Context())
				if err != nil {
					return err
				}
				text := "The catalog on the pool is the right one now; this node knew no other volumes."
				if len(repair.Lost) > 0 {
					text = "The catalog on the pool is the right one now. Only this node knew: " + strings.Join(repair.Lost, ", ") + ".\nTheir data was not touched."
				}
				if len(repair.Credentials) > 0 {
					text += "\nThe pool did not have these credentials for all nodes, and has this node's copies now: " + strings.Join(repair.Credentials, ", ") + "."
				}
				return s.done("%s", text)
			}),
		s.catalogAct("restore", "Write the records and credentials that this node knows onto the catalog pool",
			"Write the records that this node knows, and its copies of the credentials for all nodes, onto the catalog pool.\n\n"+
				"Use it when the pool was rolled back or lost its records, and this node still has them.",
			func(command *cobra.Command, client *protocol.Client) error {
				repair, err := client.CatalogRestore(command.Context())
				if err != nil {
					return err
				}
				text := "Wrote " + counted(repair.Records, "record")
				if logins := len(repair.Credentials); logins > 0 {
					text += " and " + counted(logins, "set") + " of credentials"
				}
				return s.done("%s onto the catalog pool.", text)
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
