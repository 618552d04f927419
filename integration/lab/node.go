package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"

	"github.com/homelab-storage/homelab-storage/integration/lab/machine"
	"github.com/homelab-storage/homelab-storage/integration/lab/remote"
)

// Result is what a finished script left.
type Result = remote.Result

// Node is one machine of the lab.
type Node struct {
	lab     *Lab
	number  int
	machine *machine.Machine // of the latest boot
	paused  bool
}

// Number is 1, 2, ...; o2cb knows the node by the same one.
func (n *Node) Number() int { return n.number }

// Name is the node's host name.
func (n *Node) Name() string { return fmt.Sprintf("node%d", n.number) }

// Address is the node's IP address in the lab.
func (n *Node) Address() string { return fmt.Sprintf("10.77.0.%d", 10+n.number) }

// Exec runs a script with bash, as root. That it exits with another code than 0 is not an error;
// that the node went away is. When ctx ends first, the script's process group is killed.
func (n *Node) Exec(ctx context.Context, script string) (Result, error) {
	result, err := n.machine.Agent.Exec(ctx, script)
	return result, n.wrap(err)
}

// Output runs a script that must succeed and returns its standard output without surrounding space.
func (n *Node) Output(ctx context.Context, script string) (string, error) {
	output, err := n.machine.Agent.Output(ctx, script)
	return output, n.wrap(err)
}

// Run runs a command with input and output as they come; see [remote.Client.Run].
func (n *Node) Run(ctx context.Context, command remote.Command) (int, error) {
	code, err := n.machine.Agent.Run(ctx, command)
	return code, n.wrap(err)
}

// Put writes a file on the node, atomically, with these permission bits; see [remote.Client.Put].
func (n *Node) Put(ctx context.Context, content io.Reader, path string, mode fs.FileMode) error {
	return n.wrap(n.machine.Agent.Put(ctx, content, path, mode))
}

// Copy copies a file of the host to the node.
func (n *Node) Copy(ctx context.Context, local, path string, mode fs.FileMode) error {
	file, err := os.Open(local)
	if err != nil {
		return err
	}
	return errors.Join(n.Put(ctx, file, path, mode), file.Close())
}

// Dial connects from inside the node, for example to "unix" /run/docker.sock.
func (n *Node) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := n.machine.Agent.Dial(ctx, network, address)
	return conn, n.wrap(err)
}

// Stream opens a raw stream to the node's agent, see [remote.Client.Stream].
func (n *Node) Stream(ctx context.Context) (net.Conn, error) { return n.machine.Agent.Stream(ctx) }

func (n *Node) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", n.Name(), err)
}

// openLog opens one of the node's logs for appending.
func (n *Node) openLog(kind string) (*os.File, error) {
	return n.lab.logFile(n.Name() + "." + kind + ".log")
}
