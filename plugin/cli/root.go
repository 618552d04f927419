package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/homelab-storage/homelab-storage/plugin/host"
)

// Places of the plain daemon (DESIGN, Names).
const (
	PlainSocket      = "/run/docker/plugins/homelab-storage.sock"
	DefaultStateDir  = "/var/lib/homelab-storage"
	DefaultRunDir    = "/run/homelab-storage"
	DefaultMountRoot = "/mnt/volumes"
)

// Options are what the commands work with. All are needed unless said otherwise.
type Options struct {
	Version string
	In      io.Reader
	Out     io.Writer
	Err     io.Writer
	// Host is the machine that units and files are on; nil means this one.
	Host *host.Host
	// Serve runs the plugin until the context ends.
	Serve func(ctx context.Context, options ServeOptions) error
}

// ServeOptions are the flags of serve.
type ServeOptions struct{ Socket, StateDir, RunDir, MountRoot, Config string }

// Run executes a command line, program name first, and gives the exit code.
func Run(ctx context.Context, arguments []string, options Options) int {
	asDocker, arguments := dockerArguments(arguments)
	if len(arguments) > 0 && arguments[0] == metadataCommand {
		return exitCode(options.Err, metadata(options))
	}
	root := newRoot(options, asDocker) //nolint:contextcheck // cobra hands the context to each command
	root.SetArgs(arguments)
	return exitCode(options.Err, root.ExecuteContext(ctx))
}

// usageError is a command line that is not understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func exitCode(to io.Writer, err error) int {
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintf(to, "homelab-storage: %v\n", err)
	if wrong := (usageError{}); errors.As(err, &wrong) {
		return 2
	}
	return 1
}

// dockerArguments finds out whether Docker runs us as its plugin, and gives the arguments that are ours. Docker passes its
// own command line on: global flags, then the plugin's name, then what follows; completion puts its own word first.
func dockerArguments(arguments []string) (asDocker bool, rest []string) {
	program, rest := filepath.Base(arguments[0]), arguments[1:]
	i := slices.Index(rest, "homelab")
	switch {
	case i == 0 || (i > 0 && program == "docker-homelab"):
	default:
		return program == "docker-homelab", rest
	}
	if rest[0] == cobra.ShellCompRequestCmd || rest[0] == cobra.ShellCompNoDescRequestCmd {
		return true, slices.Delete(slices.Clone(rest), i, i+1)
	}
	return true, rest[i+1:]
}

// session is what one command line shares among its commands.
type session struct {
	options  Options
	socket   string
	format   string
	stateDir string
}

func newRoot(options Options, asDocker bool) *cobra.Command {
	s := &session{options: options}
	root := &cobra.Command{
		Use:           "homelab-storage",
		Short:         "Storage for small Swarm clusters: databases on OCFS2, media on SMB, the rest on the node",
		SilenceErrors: true, SilenceUsage: true, SuggestionsMinimumDistance: 2,
		Args: noArguments, Version: options.Version,
		RunE: func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	root.SetVersionTemplate("homelab-storage {{.Version}}\n")
	if asDocker {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "docker homelab"}
	} else {
		root.AddCommand(s.serveCommand())
	}
	root.SetIn(options.In)
	root.SetOut(options.Out)
	root.SetErr(options.Err)
	root.SetFlagErrorFunc(func(command *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; %s --help shows the flags", err, command.CommandPath())}
	})
	root.PersistentFlags().StringVar(&s.socket, "socket", "", "the plugin's socket (default: found by itself)")
	root.PersistentFlags().StringVar(&s.format, "format", "table", "table, or json")
	root.AddCommand(s.statusCommand(), s.trashCommand(), s.holderCommand(), s.poolCommand(), s.shareCommand(), s.drainCommand(), s.undrainCommand(),
		s.upgradeCommand(), s.uninstallCommand(), s.hostCommand(),
		s.catalogCommand(), s.credentialsCommand(), s.optionsCommand(), s.versionCommand())
	return root
}

func (s *session) serveCommand() *cobra.Command {
	var flags ServeOptions
	command := &cobra.Command{
		Use: "serve", Short: "Run the plugin until SIGTERM; settings come from the environment and the configuration file",
		Long: "Run the plugin until SIGTERM.\n\n" +
			"Settings come from the environment (NODE_NAME, POOL_NAME, STANDALONE, ...) and from the configuration file.\n" +
			"Ending it unmounts nothing: containers go on, and the next start takes over.",
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error { return s.options.Serve(command.Context(), flags) },
	}
	f := command.Flags()
	f.StringVar(&flags.Socket, "socket", PlainSocket, "where the Docker engine finds the plugin")
	f.StringVar(&flags.StateDir, "state-dir", DefaultStateDir, "what must outlive a reboot, on the host")
	f.StringVar(&flags.RunDir, "run-dir", DefaultRunDir, "what ends with a reboot, on the host")
	f.StringVar(&flags.MountRoot, "mount-root", DefaultMountRoot, "where volumes are mounted")
	f.StringVar(&flags.Config, "config", "", "the configuration file, on the host (default: CONFIG of the environment)")
	return command
}

// noArguments, exactly and atMost refuse other numbers of arguments with the line to write instead.
func noArguments(command *cobra.Command, arguments []string) error {
	if len(arguments) == 0 {
		return nil
	}
	text := fmt.Errorf("%q is not a command of %s; %s --help lists them", arguments[0], command.CommandPath(), command.CommandPath())
	if !command.HasSubCommands() {
		text = fmt.Errorf("%s takes no arguments, %q is one", command.CommandPath(), arguments[0])
	} else if near := command.SuggestionsFor(arguments[0]); len(near) > 0 {
		text = fmt.Errorf("%q is not a command of %s; did you mean %s?", arguments[0], command.CommandPath(), near[0])
	}
	return usageError{text}
}

func between(low, high int) cobra.PositionalArgs {
	return func(command *cobra.Command, arguments []string) error {
		if len(arguments) < low || len(arguments) > high {
			return usageError{fmt.Errorf("write it as: %s", command.UseLine())}
		}
		return nil
	}
}

// group is a command that only has commands below it.
func group(use, short string, below ...*cobra.Command) *cobra.Command {
	command := &cobra.Command{
		Use: use, Short: short, Args: noArguments, SuggestionsMinimumDistance: 2,
		RunE: func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(below...)
	return command
}
