package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"

	"github.com/homelab-storage/homelab-storage/integration/lab/remote"
)

// dialUp connects to the running lab and says what for.
func dialUp(ctx context.Context, asked hello) (net.Conn, error) {
	path, err := socketPath()
	if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf(`no lab is up in this tree (start one with "lab up" or make lab): %w`, err)
	}
	line, err := json.Marshal(asked)
	if err == nil {
		_, err = conn.Write(append(line, '\n'))
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// down ends the lab and returns when it has gone.
func down(ctx context.Context) error {
	conn, err := dialUp(ctx, hello{Down: true})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, conn)
	return errors.Join(err, conn.Close())
}

// execute runs a command on a node; its exit code is ours.
func execute(ctx context.Context, number int, script string) (int, error) {
	client := remote.NewStreamClient(func(ctx context.Context) (net.Conn, error) {
		return dialUp(ctx, hello{Node: number})
	})
	return client.Run(ctx, remote.Command{Script: script, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr})
}

// shell is a login shell on a pseudo-terminal of the node. The local terminal passes every key on
// while it runs.
func shell(ctx context.Context, number int) (int, error) {
	size, err := terminal(ctx, "size")
	if err != nil {
		return 0, fmt.Errorf("a shell needs a terminal (use lab exec without one): %w", err)
	}
	saved, err := terminal(ctx, "-g")
	if err != nil {
		return 0, err
	}
	if _, err := terminal(ctx, "raw", "-echo"); err != nil {
		return 0, err
	}
	defer terminal(context.WithoutCancel(ctx), saved) //nolint:errcheck // nothing can be done about it
	var rows, columns int
	if _, err := fmt.Sscan(size, &rows, &columns); err != nil {
		return 0, fmt.Errorf("size of the terminal %q: %w", size, err)
	}
	session := fmt.Sprintf("stty rows %d columns %d; exec bash --login", rows, columns)
	return execute(ctx, number, fmt.Sprintf("cd; TERM=%q exec script --quiet --return --command %q /dev/null", os.Getenv("TERM"), session))
}

// terminal runs stty on the terminal of this process.
func terminal(ctx context.Context, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, "stty", arguments...)
	command.Stdin = os.Stdin
	output, err := command.Output()
	return strings.TrimSpace(string(output)), err
}
