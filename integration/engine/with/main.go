// Command with runs a command against a throwaway engine and removes the engine when it ends:
//
//	go run ./integration/engine/with docker info
//
// The command gets DOCKER_HOST and ENGINE_HOST_ROOT, where the files of the engine's host are seen from outside. The exit
// code is the command's.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/homelab-storage/homelab-storage/integration/engine"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "with: a command to run is missing, such as: with docker info")
		os.Exit(2)
	}
	os.Exit(with(os.Args[1:]))
}

// with returns the exit code.
func with(arguments []string) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	err := run(ctx, arguments)
	if err == nil {
		return 0
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() > 0 {
		return exit.ExitCode()
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func run(ctx context.Context, arguments []string) (err error) {
	e, err := engine.Start(ctx, engine.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	command := exec.CommandContext(ctx, arguments[0], arguments[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Env = append(append(os.Environ(), e.Environment()...), "ENGINE_HOST_ROOT="+e.Path("/"))
	return command.Run()
}
