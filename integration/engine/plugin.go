package engine

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// CreatePlugin makes a managed plugin of a folder with rootfs and config.json, changes its settings ("NAME=value") and
// enables it.
func (e *Engine) CreatePlugin(ctx context.Context, name, folder string, settings ...string) error {
	if _, err := e.Docker(ctx, "plugin", "create", name, folder); err != nil {
		return err
	}
	if len(settings) > 0 {
		if _, err := e.Docker(ctx, append([]string{"plugin", "set", name}, settings...)...); err != nil {
			return err
		}
	}
	_, err := e.Docker(ctx, "plugin", "enable", name)
	return err
}

// PluginID is the engine's identifier of a plugin.
func (e *Engine) PluginID(ctx context.Context, name string) (string, error) {
	id, err := e.Docker(ctx, "plugin", "inspect", "--format", "{{.ID}}", name)
	return strings.TrimSpace(id), err
}

// PluginPID is the PID, in the host, of a running plugin's first process: the child of the shim that has the plugin's ID
// among its arguments. It waits until there is one.
func (e *Engine) PluginPID(ctx context.Context, name string) (int, error) {
	id, err := e.PluginID(ctx, name)
	if err != nil {
		return 0, err
	}
	var pid int
	err = poll(ctx, func() error {
		pid, err = e.childOfShim(id)
		return err
	})
	return pid, err
}

// Settling is how long after a plugin's death the engine may still be starting it: it dials the new process's socket at
// once and then every 3 s (moby, plugin/manager_linux.go, pluginPostStart). A second death in that time makes it give up and
// disable the plugin.
const Settling = 4 * time.Second

// KillPlugin ends a plugin's process with SIGKILL and returns when the engine has started it again, with its new PID.
func (e *Engine) KillPlugin(ctx context.Context, name string) (int, error) {
	id, err := e.PluginID(ctx, name)
	if err != nil {
		return 0, err
	}
	before, err := e.PluginPID(ctx, name)
	if err != nil {
		return 0, err
	}
	if err := e.Signal(ctx, before, syscall.SIGKILL); err != nil {
		return 0, err
	}
	var after int
	err = poll(ctx, func() error {
		after, err = e.childOfShim(id)
		if err == nil && after == before {
			return fmt.Errorf("engine: plugin %s still has PID %d", name, before)
		}
		return err
	})
	return after, err
}

// DialPlugin connects to a plugin's socket, as the engine does.
func (e *Engine) DialPlugin(ctx context.Context, id, socket string) (net.Conn, error) {
	// Through a descriptor of the folder: the whole path would be longer than a socket's may be.
	folder, err := os.Open(e.Path("/run/docker/plugins", id))
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	defer func() { _ = folder.Close() }()
	path := filepath.Join("/proc/self/fd", strconv.Itoa(int(folder.Fd())), socket)
	return new(net.Dialer).DialContext(ctx, "unix", path)
}

// childOfShim finds the process that the shim of a container or plugin has started.
func (e *Engine) childOfShim(id string) (int, error) {
	processes, err := e.processes()
	if err != nil {
		return 0, err
	}
	isShim := func(p process) bool {
		return len(p.arguments) > 0 && strings.Contains(filepath.Base(p.arguments[0]), "containerd-shim") && slices.Contains(p.arguments, id)
	}
	for _, shim := range processes {
		if !isShim(shim) {
			continue
		}
		for _, child := range processes {
			if child.parent == shim.pid && !isShim(child) && len(child.arguments) > 0 && filepath.Base(child.arguments[0]) != "runc" {
				return child.pid, nil
			}
		}
	}
	return 0, fmt.Errorf("engine: no process runs for %.12s", id)
}

// process is one line of what ps would print in the host.
type process struct {
	pid, parent int
	arguments   []string
}

// processes reads the host's /proc; what ends meanwhile is left out.
func (e *Engine) processes() ([]process, error) {
	folders, err := filepath.Glob(e.Path("/proc/[0-9]*"))
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	var list []process
	for _, folder := range folders {
		command, err := os.ReadFile(filepath.Join(folder, "cmdline"))
		if err != nil {
			continue
		}
		status, err := os.ReadFile(filepath.Join(folder, "status"))
		if err != nil {
			continue
		}
		p := process{arguments: strings.Split(strings.TrimRight(string(command), "\x00"), "\x00")}
		p.pid, p.parent = field(status, "Pid:"), field(status, "PPid:")
		list = append(list, p)
	}
	return list, nil
}

// field is the number behind a name in /proc/PID/status, or 0.
func field(status []byte, name string) int {
	for line := range strings.Lines(string(status)) {
		if value, found := strings.CutPrefix(line, name); found {
			number, err := strconv.Atoi(strings.TrimSpace(value))
			if err == nil {
				return number
			}
		}
	}
	return 0
}
