package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/homelab-storage/homelab-storage/driver"
)

func (s *session) holderCommand() *cobra.Command {
	return group("holder", "Which node uses which directory of a pool", s.holderList(), s.holderShow(), s.holderBreak())
}

func (s *session) holderList() *cobra.Command {
	var pool string
	command := &cobra.Command{
		Use: "ls", Short: "List the directories in use and the nodes that use them", Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			return s.showHolders(command, pool, func(driver.HolderRecord) bool { return true })
		},
	}
	command.Flags().StringVar(&pool, "pool", "", "only this pool")
	return command
}

func (s *session) holderShow() *cobra.Command {
	return &cobra.Command{
		Use: "show (VOLUME | POOL SUBDIR)", Short: "Show who uses a volume's directory, or one directory of a pool", Args: between(1, 2),
		RunE: func(command *cobra.Command, arguments []string) error {
			if len(arguments) == 1 {
				return s.showHolder(command, arguments[0])
			}
			return s.showHolders(command, arguments[0], func(record driver.HolderRecord) bool { return record.Subdir == arguments[1] })
		},
	}
}

func (s *session) showHolder(command *cobra.Command, volume string) error {
	client, err := s.client(command.Context())
	if err != nil {
		return err
	}
	record, err := client.HolderOf(command.Context(), volume)
	if err != nil {
		return err
	}
	found := []driver.HolderRecord{}
	if len(record.Holders) > 0 {
		found = append(found, record)
	}
	return s.print(found, func(p *page) { writeHolders(p, found, "No node uses the volume "+volume+".") })
}

func (s *session) showHolders(command *cobra.Command, pool string, wanted func(driver.HolderRecord) bool) error {
	client, err := s.client(command.Context())
	if err != nil {
		return err
	}
	all, problem := client.Holders(command.Context(), pool)
	found := []driver.HolderRecord{}
	for _, record := range all {
		if wanted(record) && len(record.Holders) > 0 {
			found = append(found, record)
		}
	}
	if problem != nil && len(found) == 0 {
		return problem
	}
	return errors.Join(s.print(found, func(p *page) { writeHolders(p, found, "No node uses any directory.") }), problem)
}

func writeHolders(p *page, records []driver.HolderRecord, none string) {
	var rows [][]string
	for _, record := range records {
		for _, holder := range record.Holders {
			rows = append(rows, []string{record.Pool, record.Subdir, string(record.Mode), holder.Name, fmt.Sprint(len(holder.Uses)), moment(holder.Since)})
		}
	}
	p.table(none, "POOL SUBDIR MODE NODE VOLUMES SINCE", rows)
}

func (s *session) holderBreak() *cobra.Command {
	var force bool
	command := &cobra.Command{
		Use: "break VOLUME NODE", Short: "Take a volume away from another node",
		Long: "Take a volume away from another node. One that is proven dead needs no command: the next mount takes its volumes over.\n\n" +
			"A node that is alive is asked: it gives back what nothing uses there, or says which containers do. With --force the\n" +
			"volume is taken away whatever it says: stop the containers that it names, because two nodes that write one database\n" +
			"lose data.",
		Args: between(2, 2),
		RunE: func(command *cobra.Command, arguments []string) error {
			client, err := s.client(command.Context())
			if err != nil {
				return err
			}
			broken, err := client.HolderBreak(command.Context(), arguments[0], arguments[1], force)
			if err != nil {
				return err
			}
			return s.done("%s", whatBreakDid(arguments[0], arguments[1], broken))
		},
	}
	command.Flags().BoolVar(&force, "force", false, "whatever the node says")
	return command
}

// whatBreakDid says how a volume was taken away, and what is left to do on the node that had it.
func whatBreakDid(volume, node string, broken driver.HolderBroken) string {
	done, look := fmt.Sprintf("Node %s no longer has the volume %s.", node, volume), "docker ps --filter volume="+volume
	switch {
	case broken.GivenBack:
		return fmt.Sprintf("Node %s was asked and gave the volume %s back: nothing uses it there.", node, volume)
	case broken.Use != "":
		return fmt.Sprintf("%s It was asked before, and its plugin said: %s. See on %s that none is left: %s", done, broken.Use, node, look)
	case broken.Unheard != "":
		return fmt.Sprintf("%s What uses it there is not known: %s. If the node runs, see there that no container has it: %s", done, broken.Unheard, look)
	}
	return done
}
