package machine

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/homelab-storage/homelab-storage/integration/lab/box"
	"github.com/homelab-storage/homelab-storage/integration/lab/remote"
)

// Spec describes a machine.
type Spec struct {
	// Name is unique in the box; it also names the machine's sockets below /run/lab.
	Name string
	// Kernel and Initramfs are paths of the files that QEMU boots.
	Kernel, Initramfs string
	// Append is added to the kernel command line.
	Append []string
	// Disk is the root disk's path, Format its format ("qcow2", "raw").
	Disk, Format string
	// Memory in MiB.
	Memory int
	// Accelerator is "tcg" or "kvm"; empty is "tcg".
	Accelerator string
	// Tap is the network device in the box, Mac the card's address; empty means no network.
	Tap, Mac string
	// Console is the file to which the serial console is appended.
	Console string
	// Log receives QEMU's own messages.
	Log io.Writer
}

// Machine is a started machine; its guest may still be booting.
type Machine struct {
	// Agent reaches the guest. Requests wait until the guest's agent serves.
	Agent *remote.Client

	name string
	box  *box.Box
	done chan struct{}
	err  error // how QEMU ended; read it after done is closed
}

// kernelArguments make a guest boot fast under emulation and stop for good when it fails.
const kernelArguments = "console=ttyS0 quiet loglevel=4 panic=-1 net.ifnames=0 mitigations=off nokaslr " +
	"audit=0 apparmor=0 selinux=0 tsc=reliable no_timer_check random.trust_cpu=on"

// Start starts a machine in b. It runs until its guest ends it, [Machine.Kill], or the box's end.
func Start(ctx context.Context, b *box.Box, spec Spec) (*Machine, error) {
	m := &Machine{name: spec.Name, box: b, done: make(chan struct{})}
	// Where the sockets were of a machine of that name: a new one must not be taken for the old.
	if _, err := b.Output(ctx, fmt.Sprintf("rm -f %s %s %s", m.path("agent"), m.path("qmp"), m.path("pid"))); err != nil {
		return nil, err
	}
	go m.run(context.WithoutCancel(ctx), spec)
	link, err := m.dial(ctx, "agent")
	if err != nil {
		return nil, err
	}
	m.Agent, err = remote.NewClient(link)
	return m, err
}

// Done is closed when QEMU has ended: killed, powered off, rebooted or fenced.
func (m *Machine) Done() <-chan struct{} { return m.done }

// Kill is a power loss: QEMU is killed at once. It returns when the process is gone; a machine that
// has ended already is left alone.
func (m *Machine) Kill(ctx context.Context) error {
	select {
	case <-m.done:
		return nil
	default:
	}
	if _, err := m.box.Output(ctx, "kill -KILL $(cat "+m.path("pid")+")"); err != nil {
		select {
		case <-m.done:
			return nil
		default:
			return fmt.Errorf("machine %s: kill: %w", m.name, err)
		}
	}
	return m.Wait(ctx)
}

// Wait returns when QEMU has ended, or with ctx's error.
func (m *Machine) Wait(ctx context.Context) error {
	select {
	case <-m.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("machine %s still runs: %w", m.name, context.Cause(ctx))
	}
}

func (m *Machine) path(socket string) string { return filepath.Join("/run/lab", m.name+"."+socket) }

// run runs QEMU and records how it ended.
func (m *Machine) run(ctx context.Context, spec Spec) {
	defer close(m.done)
	script := fmt.Sprintf("echo $$ >%s; exec %s", m.path("pid"), strings.Join(m.arguments(spec), " "))
	code, err := m.box.Run(ctx, remote.Command{Script: script, Stdout: spec.Log, Stderr: spec.Log})
	if err == nil && code != 0 {
		err = fmt.Errorf("qemu ended with exit code %d", code)
	}
	m.err = err
}

// dial connects to one of QEMU's sockets as soon as it listens.
func (m *Machine) dial(ctx context.Context, socket string) (net.Conn, error) {
	wait := fmt.Sprintf("until [ -S %s ]; do sleep 0.02; done", m.path(socket))
	waitCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-m.done:
			cancel(fmt.Errorf("machine %s: qemu did not start: %w", m.name, orEnded(m.err)))
		case <-waitCtx.Done():
		}
	}()
	if _, err := m.box.Output(waitCtx, wait); err != nil {
		return nil, err
	}
	return m.box.Dial(ctx, "unix", m.path(socket))
}

func orEnded(err error) error {
	if err == nil {
		return os.ErrProcessDone
	}
	return err
}

// arguments is the command line, quoted for a shell.
func (m *Machine) arguments(spec Spec) []string {
	kernel := append([]string{kernelArguments}, spec.Append...)
	if spec.Accelerator != KVM {
		kernel = append(kernel, clock())
	}
	arguments := []string{
		"qemu-system-x86_64", "-name", spec.Name, "-machine", "q35", "-smp", "1", "-m", fmt.Sprint(spec.Memory),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-chardev", "file,id=console,append=on,path=" + escape(spec.Console), "-serial", "chardev:console",
		"-qmp", "unix:" + m.path("qmp") + ",server=on,wait=off",
		"-kernel", spec.Kernel, "-initrd", spec.Initramfs,
		"-append", strings.Join(kernel, " "),
		"-device", "virtio-rng-pci",
		"-device", "virtio-serial-pci",
		"-chardev", "socket,id=agent,server=on,wait=off,path=" + m.path("agent"),
		"-device", "virtserialport,chardev=agent,name=lab.agent",
	}
	arguments = append(arguments, accelerate(spec.Accelerator)...)
	if spec.Disk != "" {
		arguments = append(arguments,
			"-drive", fmt.Sprintf("if=none,id=disk,cache=unsafe,format=%s,file=%s", spec.Format, escape(spec.Disk)),
			"-device", "virtio-blk-pci,drive=disk")
	}
	if spec.Tap != "" {
		arguments = append(arguments,
			"-netdev", "tap,id=net,script=no,downscript=no,ifname="+spec.Tap,
			"-device", "virtio-net-pci,netdev=net,romfile=,mac="+spec.Mac)
	}
	for i, argument := range arguments {
		arguments[i] = Quote(argument)
	}
	return arguments
}

// accelerate returns the options of an accelerator. What emulation is slow at is left out: five-level page tables, copying byte by
// byte (erms: a third of the time of bulk data), and wide registers.
func accelerate(accelerator string) []string {
	if accelerator == KVM {
		return []string{"-accel", "kvm", "-cpu", "host"}
	}
	return []string{"-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max,-la57,-erms,-avx,-avx2"}
}

// escape doubles commas, which separate QEMU's options.
func escape(path string) string { return strings.ReplaceAll(path, ",", ",,") }

// Quote makes one shell word of s.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
