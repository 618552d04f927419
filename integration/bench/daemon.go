package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/homelab-storage/homelab-storage/integration/engine"
)

// daemon is the plugin as a plain process in the host, with folders of its own. It may be started again and again.
type daemon struct {
	host   *engine.Host
	binary string
	folder string // the state, run and mount folders are below
	client client

	pid   int        // on the machine; 0 while it does not run
	began time.Time  // when the program was executed
	ended chan error // how the program ended
}

// patience bounds the wait for a start or an end.
const patience = 20 * time.Second

func (b *bench) newDaemon(name string) *daemon {
	d := &daemon{host: b.engine.Host, binary: b.binary, folder: filepath.Join(b.folder, name)}
	d.client = newClient(d.socket())
	return d
}

func (d *daemon) socket() string { return d.folder + ".sock" }
func (d *daemon) state() string  { return filepath.Join(d.folder, "state") }

func (d *daemon) run() string { return filepath.Join(d.folder, "run") }

// pool is the node's own pool (STANDALONE=true).
func (d *daemon) pool() string { return filepath.Join(d.state(), "local", "standalone") }

// gate waits in the host until it is told to become the program: the way into the namespaces is not part of a start.
const gate = `echo ready; read -r _; exec "$@" </dev/null`

// parent runs the gate. The plugin looks at its parent, to tell a plain process from a managed plugin, and nsenter, which
// is outside, would be process 0 for it.
const parent = `"$@"; exit $?`

// inMemory makes the run folder what /run is on every host. It stays from one start to the next.
const inMemory = `mountpoint -q "$1" || mount -t tmpfs -o mode=0755 tmpfs "$1"`

// start executes the program, behind a tracer when one is given. It does not wait for the socket.
func (d *daemon) start(ctx context.Context, tracer ...string) error {
	if err := os.MkdirAll(d.run(), 0o755); err != nil {
		return err
	}
	if text, err := d.host.Command(ctx, "sh", "-c", inMemory, "sh", d.run()).CombinedOutput(); err != nil {
		return fmt.Errorf("mounting a tmpfs at %s: %w: %s", d.run(), err, text)
	}
	arguments := append([]string{"-c", parent, "parent", "sh", "-c", gate, "gate"}, tracer...)
	arguments = append(arguments, d.binary, "serve", "--socket", d.socket(), "--state-dir", d.state(),
		"--run-dir", d.run(), "--mount-root", filepath.Join(d.folder, "volumes"))
	command := d.host.Command(context.WithoutCancel(ctx), "sh", arguments...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "STANDALONE=true"}
	log, err := os.OpenFile(d.folder+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the program has its own descriptor
	command.Stderr = log
	return d.open(ctx, command)
}

// open starts the gate and lets it become the program.
func (d *daemon) open(ctx context.Context, command *exec.Cmd) error {
	input, err := command.StdinPipe()
	if err != nil {
		return err
	}
	output, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	d.ended = make(chan error, 1)
	_, err = bufio.NewReader(output).ReadString('\n')
	go func() { d.ended <- command.Wait() }()
	if err != nil {
		return fmt.Errorf("entering the host: %w", err)
	}
	// The gate is a child of its parent, which is a child of nsenter.
	if d.pid, err = childOf(ctx, command.Process.Pid); err == nil {
		d.pid, err = childOf(ctx, d.pid)
	}
	if err != nil {
		return err
	}
	d.began = time.Now()
	_, err = input.Write([]byte("go\n"))
	return err
}

// childOf waits for the one child of a process.
func childOf(ctx context.Context, parent int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", parent, parent))
		if err != nil {
			return 0, err
		}
		var child int
		if _, err := fmt.Sscan(string(list), &child); err == nil {
			return child, nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return 0, fmt.Errorf("process %d has no child: %w", parent, ctx.Err())
		}
	}
}

// activate asks until the socket answers, and says how long after the start that was.
func (d *daemon) activate(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		_, _, err := d.client.call(ctx, "Plugin.Activate", request{})
		if err == nil {
			return time.Since(d.began), nil
		}
		select {
		case <-ticker.C:
		case err := <-d.ended:
			d.pid = 0
			return 0, fmt.Errorf("the plugin ended (%v): %s", err, d.logTail()) //nolint:errorlint // how, not why
		case <-ctx.Done():
			return 0, fmt.Errorf("the plugin does not answer: %w; its log ends with: %s", err, d.logTail())
		}
	}
}

// serve is start and activate.
func (d *daemon) serve(ctx context.Context) error {
	if err := d.start(ctx); err != nil {
		return err
	}
	_, err := d.activate(ctx)
	return err
}

// stop ends the program as a service manager would, and waits.
func (d *daemon) stop() error {
	if d.pid == 0 {
		return nil
	}
	pid := d.pid
	d.pid = 0
	d.client.close()
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("ending the plugin: %w", err)
	}
	late := time.AfterFunc(patience, func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	defer late.Stop()
	if err := <-d.ended; err != nil {
		return fmt.Errorf("the plugin did not end well: %w; its log ends with: %s", err, d.logTail())
	}
	return nil
}

func (d *daemon) logTail() string {
	const tail = 2048
	text, err := os.ReadFile(d.folder + ".log")
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-tail):]))
}
