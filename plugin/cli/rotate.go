package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/credential"
)

func (s *session) credentialsRotate() *cobra.Command {
	return &cobra.Command{
		Use: "rotate NAME", Short: "Store a new password of the same user, where the old one is",
		Long: "Store a new password of the same user, in the node's own file or on the catalog pool, wherever the old one is.\n\n" +
			"Change it on the server first. Volumes stay as they are: mounts that are made from now on log in with the new password. A mount\n" +
			"that is there keeps its connection, which the server does not end for a new password. When that breaks, as at a restart of\n" +
			"the server, the kernel logs in again with the old password: the containers that were started before then get errors until\n" +
			"they are restarted. They are listed.",
		Args: between(1, 1),
		RunE: func(command *cobra.Command, arguments []string) error {
			return s.rotate(command.Context(), arguments[0])
		},
	}
}

func (s *session) rotate(ctx context.Context, name string) error {
	entries, err := s.store().List(ctx)
	if err != nil {
		return explained(err)
	}
	i := slices.IndexFunc(entries, func(entry credential.Entry) bool { return entry.Name == name })
	if i < 0 {
		return fmt.Errorf("there are no credentials %q on this node or for all nodes; credentials ls lists them", name)
	}
	login, err := s.store().Get(ctx, name)
	if err != nil {
		return explained(err)
	}
	if login.Password, err = s.password(ctx, name); err != nil {
		return err
	}
	if err := s.keep(ctx, name, login, entries[i].Pool); err != nil {
		return err
	}
	if err := s.done("Stored the new password of %s (user %s) %s.", name, login.Username, where(entries[i].Pool)); err != nil {
		return err
	}
	return s.afterRotation(ctx, name)
}

// afterRotation says what holds for containers that run.
func (s *session) afterRotation(ctx context.Context, name string) error {
	if err := s.done("New mounts use it. Try it with: credentials test %s", name); err != nil {
		return err
	}
	client, err := s.client(ctx)
	if err != nil {
		return s.done("No plugin answers on this node, so that it is not known which volumes are in use: %v", err)
	}
	use, err := client.CredentialsUse(ctx, name)
	if err != nil || len(use.Mounted) == 0 {
		return err
	}
	return s.done("In use on this node with the old password: %s. They keep their connection; when it breaks, the kernel logs in with the "+
		"old password, and their containers get errors until they are restarted (docker ps --filter volume=%s).",
		strings.Join(use.Mounted, ", "), strings.Join(use.Mounted, " --filter volume="))
}

func (s *session) credentialsTest() *cobra.Command {
	return &cobra.Command{
		Use: "test NAME [SHARE]", Short: "Log in to the shares that use a user and password, or to one",
		Long: "Log in with a user and password: to SHARE (//server/share, or a share's name), or to every share of the volumes and of the\n" +
			"configuration that use them. The plugin mounts each with a connection of its own, and unmounts it; what is mounted is left alone.\n" +
			"A server that does not answer takes half a minute at most.",
		Args: between(1, 2),
		RunE: func(command *cobra.Command, arguments []string) error {
			client, err := s.client(command.Context())
			if err != nil {
				return err
			}
			share := ""
			if len(arguments) > 1 {
				share = arguments[1]
			}
			tests, err := client.CredentialsTest(command.Context(), arguments[0], share)
			if err != nil {
				return err
			}
			if err := s.print(tests, func(p *page) { writeTests(p, tests) }); err != nil {
				return err
			}
			if slices.ContainsFunc(tests, func(test driver.LoginTest) bool { return test.Problem != "" }) {
				return errors.New("not every login works")
			}
			return nil
		},
	}
}

func writeTests(p *page, tests []driver.LoginTest) {
	var rows [][]string
	for _, test := range tests {
		result := "ok"
		if test.Problem != "" {
			result = test.Problem
		}
		rows = append(rows, []string{test.Share, fmt.Sprintf("%.1f s", test.Took.Round(100*time.Millisecond).Seconds()), result})
	}
	p.table("Nothing was tried.", "SHARE TOOK LOGIN", rows)
}
