package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/plugin/config"
)

func (s *session) trashCommand() *cobra.Command {
	return group("trash", "Data of removed volumes: list it, bring it back, delete it", s.trashList(), s.trashRestore(), s.trashEmpty())
}

func (s *session) trashList() *cobra.Command {
	var pool string
	command := &cobra.Command{
		Use: "ls", Short: "List the data of removed volumes", Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			client, err := s.client(command.Context())
			if err != nil {
				return err
			}
			entries, problem := client.TrashList(command.Context(), pool)
			if entries == nil {
				entries = []driver.TrashEntry{}
			}
			if problem != nil && len(entries) == 0 {
				return problem
			}
			return errors.Join(s.print(entries, func(p *page) { writeTrash(p, entries) }), problem)
		},
	}
	command.Flags().StringVar(&pool, "pool", "", "only this pool")
	return command
}

func writeTrash(p *page, entries []driver.TrashEntry) {
	var rows [][]string
	for _, entry := range entries {
		rows = append(rows, []string{entry.ID, entry.Pool, entry.Volume, dash(entry.Subdir), moment(entry.Removed), moment(entry.Expires)})
	}
	p.table("The trash is empty.", "ID POOL VOLUME SUBDIR REMOVED EXPIRES", rows)
}

func (s *session) trashRestore() *cobra.Command {
	return &cobra.Command{
		Use: "restore ID [NAME]", Short: "Make a volume of removed data, under its old name or another", Args: between(1, 2),
		RunE: func(command *cobra.Command, arguments []string) error {
			client, err := s.client(command.Context())
			if err != nil {
				return err
			}
			name := ""
			if len(arguments) == 2 {
				name = arguments[1]
			}
			if err := client.TrashRestore(command.Context(), arguments[0], name); err != nil {
				return err
			}
			return s.done("The data %s is a volume again.", arguments[0])
		},
	}
}

func (s *session) trashEmpty() *cobra.Command {
	var pool, olderThan string
	var all bool
	command := &cobra.Command{
		Use: "empty [ID]", Short: "Delete removed data for good: one entry, old ones, or all",
		Example: "  trash empty 20260102T030405Z-radarr\n  trash empty --older-than 7d\n  trash empty --all --pool media-apps",
		Args:    between(0, 1),
		RunE: func(command *cobra.Command, arguments []string) error {
			id := ""
			if len(arguments) == 1 {
				id = arguments[0]
			}
			if !exactlyOne(id != "", olderThan != "", all) {
				return usageError{errors.New("this deletes data for good: name one entry, or write --older-than <time>, or --all")}
			}
			if all || id != "" {
				olderThan = "0s"
			}
			age, err := config.ParseDuration(olderThan)
			if err != nil || age < 0 {
				return usageError{fmt.Errorf("--older-than %q must be a time with its unit, for example 12h or 7d, and not negative", olderThan)}
			}
			client, err := s.client(command.Context())
			if err != nil {
				return err
			}
			count, err := client.TrashEmpty(command.Context(), pool, id, age)
			if err != nil && count == 0 {
				return err
			}
			return errors.Join(err, s.done("Deleted the data of %s.", counted(count, "removed volume")))
		},
	}
	command.Flags().StringVar(&pool, "pool", "", "only this pool")
	command.Flags().StringVar(&olderThan, "older-than", "", "all entries removed longer ago, for example 7d")
	command.Flags().BoolVar(&all, "all", false, "all entries")
	return command
}

func exactlyOne(given ...bool) bool {
	count := 0
	for _, one := range given {
		if one {
			count++
		}
	}
	return count == 1
}
