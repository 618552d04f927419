package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/mounter"
)

func (s *session) credentialsCommand() *cobra.Command {
	command := group("credentials", "User and password of SMB shares, kept on this node in files that only root reads",
		s.credentialsSet(), s.credentialsList(), s.credentialsRemove())
	command.PersistentFlags().StringVar(&s.stateDir, "state-dir", DefaultStateDir, "the plugin's state folder on this node")
	return command
}

// direct does file work directly: this process is on the host, and a person waits for it.
type direct struct{}

// HostPath is the identity.
func (direct) HostPath(path string) string { return path }

// Do does the work.
func (direct) Do(_ context.Context, _ string, work func() error) error { return work() }

func (s *session) store() *credential.Store {
	return credential.NewStore(direct{}, filepath.Join(s.stateDir, "credentials"))
}

// explained says what a refused access means.
func explained(err error) error {
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		return fmt.Errorf("%w; only root reads and writes credentials: try again with sudo", err)
	}
	return err
}

func (s *session) credentialsSet() *cobra.Command {
	var username, domain string
	command := &cobra.Command{
		Use: "set NAME --username USER", Short: "Store a user and password, asked for or read from standard input",
		Long: "Store a user and password under a name, for credentials=NAME of a volume or share.\n\n" +
			"The password is asked for on a terminal, and else read from standard input up to the first line end.\n" +
			"It takes effect with the next mount of the share; nothing has to be restarted.",
		Example: "  credentials set nas --username media\n  credentials set nas --username media --domain HOME < password-file",
		Args:    between(1, 1),
		RunE: func(command *cobra.Command, arguments []string) error {
			if username == "" {
				return usageError{fmt.Errorf("--username is missing; write it as: %s", command.UseLine())}
			}
			password, err := s.password(arguments[0])
			if err != nil {
				return err
			}
			given := credential.Credentials{Username: username, Domain: domain, Password: password}
			if err := s.store().Set(command.Context(), arguments[0], given); err != nil {
				return explained(err)
			}
			return s.done("Stored the credentials %s of the user %s on this node.", arguments[0], username)
		},
	}
	command.Flags().StringVar(&username, "username", "", "the share's user")
	command.Flags().StringVar(&domain, "domain", "", "the user's domain or workgroup")
	return command
}

// password asks on a terminal without echo, or reads the first line of standard input.
func (s *session) password(name string) (mounter.Secret, error) {
	var text string
	if file, ok := s.options.In.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		_, _ = fmt.Fprintf(s.options.Err, "Password of %s: ", name)
		typed, err := term.ReadPassword(int(file.Fd()))
		_, _ = fmt.Fprintln(s.options.Err)
		if err != nil {
			return mounter.Secret{}, fmt.Errorf("reading the password: %w", err)
		}
		text = string(typed)
	} else {
		line, err := bufio.NewReader(io.LimitReader(s.options.In, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return mounter.Secret{}, fmt.Errorf("reading the password from standard input: %w", err)
		}
		text = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	}
	if text == "" {
		return mounter.Secret{}, errors.New("no password was given: type one, or write it to standard input")
	}
	return mounter.NewSecret(text), nil
}

func (s *session) credentialsList() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List the names and users, without passwords", Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			entries, err := s.store().List(command.Context())
			if err != nil {
				return explained(err)
			}
			if entries == nil {
				entries = []credential.Entry{}
			}
			return s.print(entries, func(p *page) { writeCredentials(p, entries) })
		},
	}
}

func writeCredentials(p *page, entries []credential.Entry) {
	var rows [][]string
	for _, entry := range entries {
		from := "node"
		if entry.Pool {
			from = "pool"
		}
		rows = append(rows, []string{entry.Name, dash(entry.Username), dash(entry.Domain), from, dash(entry.Problem)})
	}
	p.table("No credentials are stored.", "NAME USER DOMAIN FROM PROBLEM", rows)
}

func (s *session) credentialsRemove() *cobra.Command {
	return &cobra.Command{
		Use: "rm NAME", Short: "Remove a user and password from this node", Args: between(1, 1),
		RunE: func(command *cobra.Command, arguments []string) error {
			name := arguments[0]
			entries, err := s.store().List(command.Context())
			if err != nil {
				return explained(err)
			}
			if !slices.ContainsFunc(entries, func(entry credential.Entry) bool { return entry.Name == name && !entry.Pool }) {
				return fmt.Errorf("there are no credentials %q on this node; credentials ls lists them", name)
			}
			if err := s.store().Remove(command.Context(), name); err != nil {
				return explained(err)
			}
			return s.done("Removed the credentials %s from this node.", name)
		},
	}
}
