package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/homelab-storage/homelab-storage/driver"
)

func (s *session) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show how the plugin on this node is: pools, shares, problems", Args: noArguments,
		RunE: s.withHealth(func(health driver.Health) error { return s.print(health, func(p *page) { writeHealth(p, health) }) }),
	}
}

func (s *session) poolCommand() *cobra.Command {
	return group("pool", "Show the pools", &cobra.Command{
		Use: "ls", Short: "List the pools of this node", Args: noArguments,
		RunE: s.withHealth(func(health driver.Health) error {
			return s.print(present(health.Pools), func(p *page) { writePools(p, health) })
		}),
	})
}

func (s *session) shareCommand() *cobra.Command {
	return group("share", "Show the SMB shares", &cobra.Command{
		Use: "ls", Short: "List the shares that this node uses, and how they are", Args: noArguments,
		RunE: s.withHealth(func(health driver.Health) error {
			return s.print(present(health.Shares), func(p *page) { writeShares(p, health) })
		}),
	})
}

// present makes an empty list of none, for JSON.
func present(list []map[string]any) []map[string]any {
	if list == nil {
		return []map[string]any{}
	}
	return list
}

func (s *session) withHealth(show func(driver.Health) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, _ []string) error {
		client, err := s.client(command.Context())
		if err != nil {
			return err
		}
		health, err := client.Health(command.Context())
		if err != nil {
			return err
		}
		return show(health)
	}
}

func writeHealth(p *page, health driver.Health) {
	p.line("homelab-storage %s on node %s, running since %s", health.Version, health.Node, moment(health.Started))
	p.line("%s, %d in use", counted(health.Volumes, "volume"), health.Mounted)
	p.line("")
	writePools(p, health)
	p.line("")
	writeShares(p, health)
	sentences(p, "warning", health.Warnings)
	if len(health.Problems) == 0 {
		if !troubled(health.Pools) && !troubled(health.Shares) {
			p.line("\nNo problems.")
		}
		return
	}
	sentences(p, "problem", health.Problems)
}

// sentences lists what there is to say of one kind.
func sentences(p *page, kind string, texts []string) {
	if len(texts) == 0 {
		return
	}
	p.line("\n%s:", counted(len(texts), kind))
	for _, text := range texts {
		p.line("  - %s", strings.ReplaceAll(text, "\n", "\n    "))
	}
}

func writePools(p *page, health driver.Health) {
	var rows [][]string
	for _, pool := range health.Pools {
		rows = append(rows, []string{text(pool, "pool"), state(pool), text(pool, "path"), size(pool, "size_bytes"), size(pool, "available_bytes"), text(pool, "uuid")})
	}
	p.table("No pools are configured.", "POOL STATE PATH SIZE FREE UUID", rows)
	remarks(p, "pool", health.Pools)
}

func writeShares(p *page, health driver.Health) {
	sorted := slices.SortedFunc(slices.Values(health.Shares), func(a, b map[string]any) int {
		return strings.Compare(text(a, "share"), text(b, "share"))
	})
	var rows [][]string
	for _, share := range sorted {
		rows = append(rows, []string{text(share, "share"), state(share), text(share, "since"), text(share, "checked"), text(share, "next_check")})
	}
	p.table("No shares were used yet.", "SHARE STATE SINCE CHECKED NEXT-CHECK", rows)
	remarks(p, "share", sorted)
}

// state is one word for a pool or share.
func state(report map[string]any) string {
	switch {
	case report["problem"] != nil:
		return "problem"
	case report["checked"] == nil:
		return "unchecked"
	case report["warning"] != nil:
		return "warning"
	}
	return "ok"
}

// troubled says whether any of the pools or shares has a problem.
func troubled(reports []map[string]any) bool {
	return slices.ContainsFunc(reports, func(report map[string]any) bool { return report["problem"] != nil })
}

// remarks writes problems, warnings and notes below a table; each sentence names its pool or share when it is not alone.
func remarks(p *page, key string, reports []map[string]any) {
	for _, report := range reports {
		for _, kind := range []string{"problem", "warning", "note"} {
			if report[kind] == nil {
				continue
			}
			sentence, name := text(report, kind), text(report, key)
			if !strings.Contains(sentence, name) {
				sentence = name + ": " + sentence
			}
			p.line("  - %s", strings.ReplaceAll(sentence, "\n", "\n    "))
		}
	}
}

func text(report map[string]any, key string) string {
	if report[key] == nil || report[key] == "" {
		return "-"
	}
	return fmt.Sprint(report[key])
}

func size(report map[string]any, key string) string {
	bytes, ok := report[key].(float64)
	if !ok {
		return "-"
	}
	return units.BytesSize(bytes)
}
