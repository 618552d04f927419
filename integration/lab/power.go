package lab

import (
	"context"
	"fmt"

	"github.com/homelab-storage/homelab-storage/integration/lab/machine"
	"github.com/homelab-storage/homelab-storage/integration/lab/remote"
)

// makeDisk makes the node's own disk, an overlay over the image's.
func (n *Node) makeDisk(ctx context.Context) error {
	_, err := n.lab.box.Output(ctx, fmt.Sprintf("qemu-img create -q -f qcow2 -F raw -b %s %s",
		machine.Quote(n.lab.image.Disk), machine.Quote(n.disk())))
	return n.wrap(err)
}

func (n *Node) disk() string { return n.lab.run.path("nodes", n.Name()+".qcow2") }

// Boot powers the node on with the disk as it is and returns when its agent answers and, with the
// quick init, iscsid runs; systemd is still at work. A node that runs is left alone.
func (n *Node) Boot(ctx context.Context) error {
	if n.Running() {
		return nil
	}
	log, err := n.openLog("qemu")
	if err != nil {
		return err
	}
	arguments := []string{
		fmt.Sprintf("lab.node=%d", n.number), fmt.Sprintf("lab.nodes=%d", n.lab.options.Nodes),
		fmt.Sprintf("systemd.machine_id=%032x", 0x1ab0+n.number),
	}
	if n.lab.options.Systemd {
		arguments = append(arguments, "lab.init=/sbin/init")
	}
	n.paused = false
	n.machine, err = machine.Start(ctx, n.lab.box, machine.Spec{
		Name: n.Name(), Kernel: n.lab.image.Kernel, Initramfs: n.lab.image.Initramfs, Append: arguments,
		Disk: n.disk(), Format: "qcow2", Memory: n.lab.options.Memory, Accelerator: n.lab.image.Accelerator,
		Tap: n.tap(), Mac: fmt.Sprintf("52:54:00:77:00:%02x", 10+n.number),
		Console: n.lab.run.path("logs", n.Name()+".console.log"), Log: log,
	})
	if err != nil {
		return n.wrap(err)
	}
	return n.waitAgent(ctx)
}

// waitAgent returns when the guest can be worked with.
func (n *Node) waitAgent(ctx context.Context) error {
	if !n.lab.options.Systemd {
		_, err := n.Output(ctx, "until [ -e /run/lab/ready ]; do sleep 0.05; done")
		return err
	}
	if _, err := n.Output(ctx, "true"); err != nil {
		return err
	}
	journal, err := n.openLog("journal")
	if err != nil {
		return err
	}
	go func(agent *remote.Client) { // ends with the machine
		_, _ = agent.Run(context.WithoutCancel(ctx), remote.Command{Script: "journalctl --follow --lines=all --output=short-monotonic", Stdout: journal})
	}(n.machine.Agent)
	return nil
}

// Running says whether the node has power: it has been booted, and has not been killed, powered off
// or fenced since.
func (n *Node) Running() bool {
	if n.machine == nil {
		return false
	}
	select {
	case <-n.machine.Done():
		return false
	default:
		return true
	}
}

// WaitOff returns when the node has lost power by itself, as after a fence.
func (n *Node) WaitOff(ctx context.Context) error { return n.wrap(n.machine.Wait(ctx)) }

// Kill is a power loss: what the node had not flushed to its disk is gone.
func (n *Node) Kill(ctx context.Context) error { return n.wrap(n.machine.Kill(ctx)) }

// ShutDown lets the node's init shut down and returns when the power is off. The quick init has no shutdown order: there it is a sync and a
// reset.
func (n *Node) ShutDown(ctx context.Context) error {
	script := "sync; (sleep 0.2; busybox reboot -f) >/dev/null 2>&1 &"
	if n.lab.options.Systemd {
		script = "systemctl reboot"
	}
	// systemd may stop the agent before it can report; then only the machine's end tells.
	if result, err := n.Exec(ctx, script); err == nil && result.Code != 0 {
		return fmt.Errorf("%s: %s: exit code %d: %s", n.Name(), script, result.Code, result.Stderr)
	}
	return n.WaitOff(ctx)
}

// Reboot is [Node.ShutDown] and then [Node.Boot], a cold one.
func (n *Node) Reboot(ctx context.Context) error {
	if err := n.ShutDown(ctx); err != nil {
		return err
	}
	return n.Boot(ctx)
}

// Pause makes the node stand still, to its own surprise when it is resumed.
func (n *Node) Pause(ctx context.Context) error {
	n.paused = true
	return n.wrap(n.machine.Pause(ctx))
}

// Resume undoes [Node.Pause].
func (n *Node) Resume(ctx context.Context) error {
	n.paused = false
	return n.wrap(n.machine.Resume(ctx))
}

func (n *Node) heal(ctx context.Context) error {
	if n.paused && n.Running() {
		return n.Resume(ctx)
	}
	return n.Boot(ctx)
}
