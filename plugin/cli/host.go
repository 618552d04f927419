package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/plugin/config"
	"github.com/homelab-storage/homelab-storage/plugin/host"
)

// defaultWait is how long the engine waits for the pools at boot: a NAS that lost power with the nodes takes minutes longer.
const defaultWait = 5 * time.Minute

func (s *session) hostCommand() *cobra.Command {
	return group("host", "Boot and shutdown of this node in order, and a plugin that runs, with systemd units",
		s.hostInstall(), s.hostRemove(), s.hostStatus(), s.hostWait(), s.hostRevive())
}

// machine is this host; tests have another one.
func (s *session) machine() *host.Host {
	if s.options.Host != nil {
		return s.options.Host
	}
	return &host.Host{Root: "/", Run: runHere, Program: CLIPluginFile}
}

// runHere runs a program in this process's own namespace and cgroup: unlike the plugin, a command is not killed with what it has started.
func runHere(ctx context.Context, name string, arguments ...string) (output string, code int, err error) {
	here, err := mounter.New(mounter.Options{HostPID: os.Getpid(), OwnCgroup: true, TargetRoot: "/run", Log: logrus.NewEntry(logrus.New())})
	if err != nil {
		return "", 0, err
	}
	said, err := here.Run(ctx, mounter.Command{Name: name, Args: arguments, Limit: time.Minute})
	return said.Stdout + said.Stderr, said.Code, err
}

func (s *session) hostInstall() *cobra.Command {
	var wait time.Duration
	command := &cobra.Command{
		Use: "install", Short: "Install the units: the engine waits for the pools at boot, and pools are unmounted at shutdown",
		Long: "Install homelab-storage-pools.service, homelab-storage-revive.timer and an addition to docker.service.\n\n" +
			"At boot the Docker engine waits, for a while, until the pools' disks can be had. At shutdown containers stop first, then\n" +
			"OCFS2 file systems are unmounted, then come the cluster, iSCSI and the network: a node whose heartbeat loses its disk\n" +
			"resets itself instead of shutting down. To change the time, install it again.\n\n" +
			"The addition ends, before each start of the engine, what an engine left that was killed while it started a plugin again:\n" +
			"Docker 20.10 does not start beside it.\n\n" +
			"The timer enables the plugin again, usually within a minute, when the engine gave it up because it had died, or was slow, and\n" +
			"when an upgrade was interrupted.",
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := s.machine().Install(command.Context(), wait); err != nil {
				return explained(err)
			}
			return s.done("Installed. The engine waits for the pools for %s at most; shutdown unmounts them in order; a plugin that the engine gave up is enabled again.", wait)
		},
	}
	command.Flags().DurationVar(&wait, "wait", defaultWait, "how long the engine waits at boot")
	return command
}

func (s *session) hostRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove", Short: "Remove the units; what is mounted stays mounted", Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			removed, err := s.machine().Remove(command.Context())
			switch {
			case err != nil && os.Geteuid() != 0:
				return fmt.Errorf("%w; only root may do that: try again with sudo", err)
			case err != nil:
				return explained(err)
			case !removed:
				return s.done("The units are not installed.")
			}
			return s.done("Removed. Nothing looks after the pools at boot and shutdown any more, and nothing after a plugin that the engine gave up.")
		},
	}
}

func (s *session) hostStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show whether the units are installed, enabled and active", Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			list, err := s.machine().Status(command.Context())
			if err != nil {
				return explained(err)
			}
			return s.print(list, func(p *page) {
				var rows [][]string
				for _, unit := range list {
					rows = append(rows, []string{unit.Name, unit.File, unit.Enabled, unit.Active})
				}
				p.table("", "UNIT FILE ENABLED ACTIVE", rows)
			})
		},
	}
}

func (s *session) hostWait() *cobra.Command {
	var timeout time.Duration
	command := &cobra.Command{
		Use: "wait", Short: "Wait until the pools' disks can be had; what the unit does at boot", Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			known, err := config.LastGood(s.stateFolder())
			if errors.Is(err, os.ErrNotExist) {
				return s.done("No pool is configured yet.")
			}
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(command.Context(), timeout)
			defer cancel()
			return s.machine().Wait(ctx, known.Pools, func(format string, arguments ...any) { _ = s.done(format, arguments...) })
		},
	}
	command.Flags().DurationVar(&timeout, "timeout", defaultWait, "how long")
	command.Flags().StringVar(&s.stateDir, "state-dir", DefaultStateDir, "the plugin's state folder on this node")
	return command
}

func (s *session) stateFolder() string {
	if s.stateDir == "" {
		return DefaultStateDir
	}
	return s.stateDir
}
