package box

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"

	"github.com/homelab-storage/homelab-storage/integration/lab/remote"
)

// stopWait bounds the time between the end of the agent's input and the end of the box; what then
// still lives sits in a kernel call that a signal does not end.
const stopWait = 10 * time.Second

// Options say what a box has of its own.
type Options struct {
	// Agent is the path of the agent's binary.
	Agent string
	// HostNetwork keeps the host's network and /run, for work that has to reach the outside.
	HostNetwork bool
	// Log receives what the agent itself reports.
	Log io.Writer
}

// Box is a running set of namespaces. Its methods from [remote.Client] run inside it.
type Box struct {
	*remote.Client

	agent *exec.Cmd
}

// prepare makes the namespaces usable: private mounts, its own /proc and, in a box with its own
// network, its own /run, where daemons put their sockets under fixed names.
const (
	prepare        = `mount --make-rprivate / && mount -t proc none /proc`
	prepareNetwork = prepare + ` && mount -t tmpfs -o mode=755 tmpfs /run && mkdir /run/lab && ip link set lo up`
)

// Start makes a box. It lives until [Box.Stop] or the end of this process, not of ctx.
func Start(ctx context.Context, options Options) (*Box, error) {
	flags, script := uintptr(syscall.CLONE_NEWNS|syscall.CLONE_NEWPID), prepare
	if !options.HostNetwork {
		flags, script = flags|syscall.CLONE_NEWNET, prepareNetwork
	}
	agent := exec.CommandContext(context.WithoutCancel(ctx), options.Agent)
	// A session of its own keeps a terminal's Ctrl-C away, so that the owner can stop in order.
	agent.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Setsid: true}
	agent.Stderr = options.Log
	link, err := pipe(agent)
	if err != nil {
		return nil, err
	}
	if err := agent.Start(); err != nil {
		return nil, fmt.Errorf("box: start %s in new namespaces: %w (this needs root)", options.Agent, err)
	}
	client, err := remote.NewClient(link)
	if err != nil {
		return nil, errors.Join(err, agent.Process.Kill(), agent.Wait())
	}
	box := &Box{Client: client, agent: agent}
	if _, err := box.Output(ctx, script); err != nil {
		return nil, errors.Join(fmt.Errorf("box: prepare namespaces: %w", err), box.Stop())
	}
	return box, nil
}

// Pid is the host's process ID of the box's first process.
func (b *Box) Pid() int { return b.agent.Process.Pid }

// Stop ends the box and everything in it, and returns when it is gone.
func (b *Box) Stop() error {
	killer := time.AfterFunc(stopWait, func() { _ = b.agent.Process.Kill() })
	defer killer.Stop()
	closeErr := b.Close()
	if err := b.agent.Wait(); err != nil {
		return fmt.Errorf("box: agent ended with %w", err)
	}
	return closeErr
}

// duplex is the agent's standard input and output as one stream.
type duplex struct {
	io.Reader
	io.WriteCloser
}

// pipe connects the command's standard input and output. Both ends of ours close on exec, so that
// no other child of this process keeps the box alive.
func pipe(command *exec.Cmd) (io.ReadWriteCloser, error) {
	input, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return duplex{Reader: output, WriteCloser: input}, nil
}
