package cli

import (
	"github.com/spf13/cobra"

	"github.com/homelab-storage/homelab-storage/driver/option"
)

// optionRow is an option of a volume, for programs.
type optionRow struct {
	Name   string `json:"name"`
	Values string `json:"values"`
	Text   string `json:"text"`
	Secret bool   `json:"secret"`
}

func (s *session) optionsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "options", Short: "List the options of a volume (docker volume create -o, driver_opts)", Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			var rows []optionRow
			var cells [][]string
			for _, row := range option.Table() {
				rows = append(rows, optionRow{row.Name, row.Values, row.Text, row.Secret})
				cells = append(cells, []string{row.Name, row.Values, row.Text})
			}
			return s.print(rows, func(p *page) { p.table("", "OPTION VALUES MEANING", cells) })
		},
	}
}
