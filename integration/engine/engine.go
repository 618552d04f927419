package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Options say what is special about an engine.
type Options struct {
	// Name is the host's name; empty: "engine-node".
	Name string
	// LiveRestore keeps containers running while the engine is down.
	LiveRestore bool
	// Flags are further flags of dockerd.
	Flags []string
}

// Engine is a running Docker Engine on a [Host] of its own. Its methods are not safe for concurrent use, but for
// [Engine.Docker] and what is read.
type Engine struct {
	*Host
	options Options
	place   *place
	daemon  *daemon
}

// Start makes a host and boots an engine on it. It first removes what ended programs have left.
func Start(ctx context.Context, options Options) (*Engine, error) {
	if options.Name == "" {
		options.Name = "engine-node"
	}
	if err := reap(); err != nil {
		return nil, err
	}
	place, err := newPlace()
	if err != nil {
		return nil, err
	}
	host, err := startHost(ctx, place.folder, options.Name)
	if err != nil {
		return nil, errors.Join(err, place.remove())
	}
	e := &Engine{Host: host, options: options, place: place}
	if err := e.Boot(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// Close ends the engine with everything it runs and removes every trace of it.
func (e *Engine) Close() error {
	e.stop()
	if e.daemon != nil {
		<-e.daemon.done
	}
	return e.place.remove()
}

// Boot starts the engine after Shutdown or Kill and waits until it answers.
func (e *Engine) Boot(ctx context.Context) error {
	daemon, err := startDaemon(ctx, e.Host, e.flags(), e.LogFile())
	if err != nil {
		return err
	}
	e.daemon = daemon
	return poll(ctx, func() error {
		select {
		case <-daemon.done:
			return fatal{fmt.Errorf("engine: dockerd ended while starting: %s", e.LogTail())}
		default:
			_, err := e.Docker(ctx, "version")
			return err
		}
	})
}

// Shutdown asks the engine to end, as its service manager would, and waits for it.
func (e *Engine) Shutdown(ctx context.Context) error { return e.end(ctx, syscall.SIGTERM) }

// Kill ends the engine with SIGKILL; containers, shims and plugins go on.
func (e *Engine) Kill(ctx context.Context) error { return e.end(ctx, syscall.SIGKILL) }

func (e *Engine) end(ctx context.Context, signal syscall.Signal) error {
	pid, err := readInt(e.Path(pidFile))
	if err != nil {
		return fmt.Errorf("engine: the engine's PID: %w", err)
	}
	if err := e.Signal(ctx, pid, signal); err != nil {
		return err
	}
	select {
	case <-e.daemon.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("engine: dockerd did not end on %s: %w", signal, ctx.Err())
	}
}

// Restart is Shutdown and Boot.
func (e *Engine) Restart(ctx context.Context) error {
	if err := e.Shutdown(ctx); err != nil {
		return err
	}
	return e.Boot(ctx)
}

// pidFile is where dockerd leaves its PID, in the host.
const pidFile = "/run/docker.pid"

// flags keep everything of this engine in its own places; in the host it also listens where a plugin looks for it. cgroupfs, because a service manager outside could not be told
// PIDs of another namespace.
func (e *Engine) flags() []string {
	flags := []string{
		"--data-root", filepath.Join(e.folder, "docker"), "--exec-root", "/run/docker", "--pidfile", pidFile,
		"--config-file", e.place.configuration(), "--host", e.Address(), "--host", "unix:///run/docker.sock",
		"--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", e.place.cgroup(),
	}
	if e.options.LiveRestore {
		flags = append(flags, "--live-restore")
	}
	return append(flags, e.options.Flags...)
}

// Address is what DOCKER_HOST has to be for this engine.
func (e *Engine) Address() string { return "unix://" + filepath.Join(e.folder, "docker.sock") }

// LogFile is the engine's log, which also holds what plugins print. It is on the machine and ends with Close.
func (e *Engine) LogFile() string { return filepath.Join(e.folder, "dockerd.log") }

// LogTail is the end of the engine's log, for messages, without what containerd tells of itself.
func (e *Engine) LogTail() string {
	const tail = 40
	text, err := os.ReadFile(e.LogFile())
	if err != nil {
		return err.Error()
	}
	lines := slices.DeleteFunc(slices.Collect(strings.Lines(string(text))), func(line string) bool {
		return strings.Contains(line, "loading plugin") || strings.Contains(line, "module=grpc")
	})
	return strings.Join(lines[max(0, len(lines)-tail):], "")
}
