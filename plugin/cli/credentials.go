package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/homelab-storage/homelab-storage/driver/credential"
)

func (s *session) credentialsCommand() *cobra.Command {
	command := group("credentials", "User and password of SMB shares, kept in files that only root reads, for this node or for all nodes",
		s.credentialsSet(), s.credentialsList(), s.credentialsRemove(), s.credentialsRotate(), s.credentialsTest())
	command.PersistentFlags().StringVar(&s.stateDir, "state-dir", DefaultStateDir, "the plugin's state folder on this node")
	return command
}

// allNodes adds the flag that asks for the catalog pool.
func allNodes(command *cobra.Command, flag *bool) {
	command.Flags().BoolVar(flag, "all-nodes", false, "for all nodes, on the catalog pool, instead of this node's own file")
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
		return fmt.Errorf("%w; only root may do that: try again with sudo", err)
	}
	return err
}

func (s *session) credentialsSet() *cobra.Command {
	var username, domain string
	var all bool
	command := &cobra.Command{
		Use: "set NAME --username USER", Short: "Store a user and password, asked for or read from standard input",
		Long: "Store a user and password under a name, for credentials=NAME of a volume or share.\n\n" +
			"The password is asked for on a terminal, and else read from standard input up to the first line end.\n" +
			"It takes effect with the next mount of the share; nothing has to be restarted. A node's own file wins over that of all nodes.",
		Example: "  credentials set nas --username media\n  credentials set nas --username media --domain HOME < password-file\n  credentials set nas --username media --all-nodes",
		Args:    between(1, 1),
		RunE: func(command *cobra.Command, arguments []string) error {
			if username == "" {
				return usageError{fmt.Errorf("--username is missing; write it as: %s", command.UseLine())}
			}
			password, err := s.password(command.Context(), arguments[0])
			if err != nil {
				return err
			}
			given := credential.Credentials{Username: username, Domain: domain, Password: password}
			if err := s.keep(command.Context(), arguments[0], given, all); err != nil {
				return err
			}
			return s.done("Stored the credentials %s of the user %s %s.", arguments[0], username, where(all))
		},
	}
	command.Flags().StringVar(&username, "username", "", "the share's user")
	command.Flags().StringVar(&domain, "domain", "", "the user's domain or workgroup")
	allNodes(command, &all)
	return command
}

func where(all bool) string {
	if all {
		return "for all nodes; the others have them within half a minute"
	}
	return "on this node"
}

// keep stores credentials: in a file of this node, or with the plugin's help on the catalog pool.
func (s *session) keep(ctx context.Context, name string, login credential.Credentials, all bool) error {
	if !all {
		return explained(s.store().Set(ctx, name, login))
	}
	if err := errors.Join(credential.CheckName(name), login.Check()); err != nil {
		return err
	}
	client, err := s.client(ctx)
	if err != nil {
		return err
	}
	if err := client.CredentialsSet(ctx, name, login); err != nil {
		return err
	}
	entries, err := s.store().List(ctx)
	if err == nil && slices.ContainsFunc(entries, func(entry credential.Entry) bool { return entry.Name == name && !entry.Pool }) {
		return s.done("This node has credentials %s of its own, which win here; credentials rm %[1]s takes them away.", name)
	}
	return nil
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
	var all, force bool
	command := &cobra.Command{
		Use: "rm NAME", Short: "Remove a user and password", Args: between(1, 1),
		RunE: func(command *cobra.Command, arguments []string) error {
			name := arguments[0]
			entries, err := s.store().List(command.Context())
			if err != nil {
				return explained(err)
			}
			if err := removable(entries, name); err != nil && !all {
				return err
			}
			if err := s.unused(command.Context(), name); err != nil && !force {
				return err
			}
			if err := s.drop(command.Context(), name, all); err != nil {
				return err
			}
			if all {
				return s.done("Removed the credentials %s from all nodes.", name)
			}
			return s.done("Removed the credentials %s from this node.", name)
		},
	}
	command.Flags().BoolVar(&force, "force", false, "also when volumes or shares use them")
	allNodes(command, &all)
	return command
}

// removable says whether credentials of a name are this node's own. Whether all nodes have some, only the pool knows for certain.
func removable(entries []credential.Entry, name string) error {
	i := slices.IndexFunc(entries, func(entry credential.Entry) bool { return entry.Name == name })
	switch {
	case i < 0:
		return fmt.Errorf("there are no credentials %q on this node; credentials ls lists them", name)
	case entries[i].Pool:
		return fmt.Errorf("the credentials %q are those of all nodes, not this node's own: credentials rm %s --all-nodes removes them everywhere", name, name)
	}
	return nil
}

func (s *session) drop(ctx context.Context, name string, all bool) error {
	if !all {
		return explained(s.store().Remove(ctx, name))
	}
	client, err := s.client(ctx)
	if err != nil {
		return err
	}
	return client.CredentialsRemove(ctx, name)
}

// unused refuses what is still needed. Without a plugin nobody knows.
func (s *session) unused(ctx context.Context, name string) error {
	client, err := s.client(ctx)
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	use, err := client.CredentialsUse(ctx, name)
	if err != nil {
		return nil //nolint:nilerr // an older plugin does not know either
	}
	var users []string
	for _, volume := range use.Volumes {
		users = append(users, "volume "+volume)
	}
	for _, share := range use.Shares {
		users = append(users, "share "+share)
	}
	if len(users) == 0 {
		return nil
	}
	return fmt.Errorf("the credentials %s are used by %s; with --force they are removed all the same", name, strings.Join(users, ", "))
}
