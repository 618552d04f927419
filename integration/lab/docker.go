package lab

import (
	"context"
	"fmt"

	"github.com/homelab-storage/homelab-storage/integration/lab/image"
	"github.com/homelab-storage/homelab-storage/integration/lab/remote"
)

// StandIn is the container image that every node's Docker has; see [image.StandIn].
const StandIn = image.StandIn

// StartDocker starts the engine and returns when it answers. With the quick init its log is one of
// the lab's; with systemd it is the unit docker.service and logs to the journal.
func (n *Node) StartDocker(ctx context.Context) error {
	if n.lab.options.Systemd {
		_, err := n.Output(ctx, "systemctl start docker.service")
		return err
	}
	log, err := n.openLog("dockerd")
	if err != nil {
		return err
	}
	running, stopped := context.WithCancelCause(ctx)
	go func() {
		// Ends with the engine or with the machine, not with the caller.
		code, err := n.machine.Agent.Run(context.WithoutCancel(ctx), remote.Command{Script: "exec dockerd", Stdout: log, Stderr: log})
		stopped(fmt.Errorf("dockerd ended with exit code %d: %w; see %s", code, orCanceled(err), log.Name()))
	}()
	_, err = n.Output(running, "until docker info >/dev/null 2>&1; do sleep 0.1; done")
	return err
}

// orCanceled gives an ended command without an error of its own one to wrap.
func orCanceled(err error) error {
	if err == nil {
		return context.Canceled
	}
	return err
}

// StopDocker ends the engine in order, as a restart of it would.
func (n *Node) StopDocker(ctx context.Context) error {
	script := `engine=$(pidof dockerd) && kill $engine && while kill -0 $engine 2>/dev/null; do sleep 0.1; done`
	if n.lab.options.Systemd {
		script = "systemctl stop docker.socket docker.service"
	}
	_, err := n.Output(ctx, script)
	return err
}

// WaitSystemd returns the state of systemd, "running" or "degraded", once the boot has finished.
func (n *Node) WaitSystemd(ctx context.Context) (string, error) {
	return n.Output(ctx, "systemctl is-system-running --wait || true")
}
