package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/homelab-storage/homelab-storage/integration/lab/image"
	"github.com/homelab-storage/homelab-storage/integration/lab/remote"
)

// StandIn is the container image that every node's Docker has; see [image.StandIn].
const StandIn = image.StandIn

const (
	// enginePoll is how often StartDocker asks the engine whether it serves.
	enginePoll = 100 * time.Millisecond
	// As in docker.service (Restart=on-failure, StartLimitBurst=3).
	engineStarts = 3
)

// orphanScript ends the shims of plugins that run nothing: an engine of 20.10 that was killed while it restarted a plugin leaves one
// that containerd 1.6 takes for the plugin's task, and panics at every start until it is gone (docs/operations.md).
const orphanScript = `for shim in $(pgrep -f '^[^ ]*containerd-shim-runc-v2 -namespace plugins.moby '); do
	pgrep -P $shim >/dev/null || kill -KILL $shim || true
done`

// engineScript runs the engine in the foreground, on a containerd of its own unit as Debian has it:
// one that dockerd starts itself must be ready in 15 s, which a busy emulated machine misses. It
// stays when the engine is restarted.
const engineScript = `
pidof containerd >/dev/null || {
	rm -f /run/containerd/containerd.sock
	containerd >/run/lab/containerd.log 2>&1 &
}
until [ -S /run/containerd/containerd.sock ]; do sleep 0.05; done
exec dockerd`

// StartDocker starts the engine, unless its API answers already, and returns when it does; one that fails is started again as often
// as docker.service does, without what its last run left. With the quick init its log is one of the lab's; with systemd it is the unit docker.service and logs to the
// journal.
func (n *Node) StartDocker(ctx context.Context) error {
	if n.engineAnswers(ctx) {
		return nil
	}
	if n.lab.options.Systemd {
		_, err := n.Output(ctx, "systemctl start docker.service")
		return err
	}
	for start := 1; ; start++ {
		ended, err := n.startEngine(ctx)
		if err == nil || !ended || start == engineStarts {
			return err
		}
		n.lab.log.WithError(err).Warn("start the engine again")
		if _, failed := n.Output(ctx, orphanScript); failed != nil {
			return errors.Join(err, failed)
		}
	}
}

// startEngine starts the engine once and waits until it serves; ended says that it has ended instead.
func (n *Node) startEngine(ctx context.Context) (ended bool, err error) {
	log, err := n.openLog("dockerd")
	if err != nil {
		return false, err
	}
	exited, agent := make(chan error, 1), n.machine.Agent
	go func() {
		// Ends with the engine or with the machine, not with the caller.
		code, err := agent.Run(context.WithoutCancel(ctx), remote.Command{Script: engineScript, Stdout: log, Stderr: log})
		if err == nil {
			err = fmt.Errorf("%s: dockerd ended with exit code %d; see %s", n.Name(), code, log.Name())
		}
		exited <- err
	}()
	ticker := time.NewTicker(enginePoll)
	defer ticker.Stop()
	for {
		if n.engineAnswers(ctx) {
			return false, nil
		}
		select {
		case err := <-exited:
			return true, err
		case <-ctx.Done():
			return false, fmt.Errorf("%s: dockerd does not answer: %w", n.Name(), context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// engineAnswers says whether the engine serves.
func (n *Node) engineAnswers(ctx context.Context) bool { return n.engine(ctx, "/_ping", nil) == nil }

// StopDocker ends the engine in order, as a restart of it would.
func (n *Node) StopDocker(ctx context.Context) error {
	script := `engine=$(pidof dockerd) && kill $engine && while kill -0 $engine 2>/dev/null; do sleep 0.1; done`
	if n.lab.options.Systemd {
		script = "systemctl stop docker.socket docker.service"
	}
	_, err := n.Output(ctx, script)
	return err
}
