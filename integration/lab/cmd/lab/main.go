// Command lab keeps a storage lab up for people to work in; see package lab.
//
//	lab up [-nodes N] [-systemd] [-bare]   start a lab and stay until Ctrl-C or "lab down"
//	lab sh N                               a shell on node N, from another terminal
//	lab exec N 'command'                   run a command on node N
//	lab image                              make what the machines boot, unless it is there
//	lab down                               end the lab
//
// up installs Docker and the plugin (from bin/, see scripts/build-plugin) on every node, with a formatted pool; -bare leaves
// the machines and the NAS alone.
// It needs root and finds everything from the folder of the project's go.mod, in or below which it
// is called.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/integration/lab"
)

const usage = `usage:
  lab up [-nodes N] [-systemd] [-bare]   start a lab and stay until Ctrl-C or "lab down"
  lab sh N                               a shell on node N
  lab exec N 'command'                   run a command on node N
  lab image                              make what the machines boot, unless it is there
  lab down                               end the lab
`

// errUsage asks main for the usage text.
var errUsage = errors.New("wrong usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code, err := run(ctx, os.Args[1:])
	if errors.Is(err, errUsage) {
		_, _ = io.WriteString(os.Stderr, usage)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		code = 1
	}
	os.Exit(code)
}

// run returns the exit code of the command that ran on a node, or an error.
func run(ctx context.Context, arguments []string) (int, error) {
	if len(arguments) == 0 {
		return 0, errUsage
	}
	switch command, rest := arguments[0], arguments[1:]; command {
	case "up":
		return 0, parseUp(ctx, rest)
	case "down":
		return 0, down(ctx)
	case "image":
		return 0, lab.Prepare(ctx, lab.Options{Log: logrus.NewEntry(logrus.New())})
	case "sh", "exec":
		if len(rest) == 0 || (command == "exec") != (len(rest) == 2) {
			return 0, errUsage
		}
		number, err := strconv.Atoi(rest[0])
		if err != nil {
			return 0, fmt.Errorf("%w: node %q is not a number", errUsage, rest[0])
		}
		if command == "sh" {
			return shell(ctx, number)
		}
		return execute(ctx, number, rest[1])
	}
	return 0, fmt.Errorf("%w: unknown command %q", errUsage, arguments[0])
}

func parseUp(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("lab up", flag.ContinueOnError)
	nodes := flags.Int("nodes", 3, "number of machines")
	systemd := flags.Bool("systemd", false, "boot systemd instead of the quick init")
	bare := flags.Bool("bare", false, "no Docker, no pool and no plugin: machines and NAS only")
	if err := flags.Parse(arguments); err != nil {
		return errUsage
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%w: unexpected %q", errUsage, flags.Arg(0))
	}
	return up(ctx, *nodes, *systemd, *bare)
}
