package cli

import (
	"encoding/json"
	"runtime"

	"github.com/spf13/cobra"
)

// metadataCommand is the word with which the Docker CLI asks a plugin who it is (docker/cli cli-plugins/metadata).
const metadataCommand = "docker-cli-plugin-metadata"

// metadata answers the Docker CLI.
func metadata(options Options) error {
	return json.NewEncoder(options.Out).Encode(struct{ SchemaVersion, Vendor, Version, ShortDescription, URL string }{
		"0.1.0", "homelab-storage", options.Version, "Storage of homelab-storage: state, trash, holders, credentials",
		"https://github.com/homelab-storage/homelab-storage",
	})
}

func (s *session) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the version of this program", Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			facts := struct {
				Version  string `json:"version"`
				Go       string `json:"go"`
				Platform string `json:"platform"`
			}{s.options.Version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			return s.print(facts, func(p *page) {
				p.line("homelab-storage %s (%s, %s)", facts.Version, facts.Go, facts.Platform)
			})
		},
	}
}
