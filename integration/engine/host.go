package engine

import (
	"bufio"
	"context"
	_ "embed" // host.sh
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

//go:embed host.sh
var hostScript string

// namespaces are all but the user namespace: the engine has to be root.
const namespaces = syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC

// Host is a throwaway host: a first process and its namespaces. It ends with this program at the latest.
type Host struct {
	folder string // on the machine and, at the same path, in the host
	first  *exec.Cmd
	input  io.Closer
}

// startHost makes a host of that name that keeps its files in folder, which exists.
func startHost(ctx context.Context, folder, name string) (*Host, error) {
	// Not bound to ctx: the host lives until stop; only the wait for its first word is.
	first := exec.CommandContext(context.WithoutCancel(ctx), "bash", "-c", hostScript, "host.sh", folder, name)
	first.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	var complaint strings.Builder
	first.Stderr = &complaint
	input, err := first.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("engine: pipe to the host: %w", err)
	}
	output, err := first.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("engine: pipe from the host: %w", err)
	}
	if err := first.Start(); err != nil {
		return nil, fmt.Errorf("engine: start the host (this needs root): %w", err)
	}
	h := &Host{folder: folder, first: first, input: input}
	stop := context.AfterFunc(ctx, func() { _ = first.Process.Kill() })
	defer stop()
	if word, err := bufio.NewReader(output).ReadString('\n'); err != nil || word != "ready\n" {
		h.stop()
		return nil, fmt.Errorf("engine: the host did not come up: %s", strings.TrimSpace(complaint.String()))
	}
	return h, nil
}

// stop ends every process of the host and waits until the kernel has.
func (h *Host) stop() {
	_ = h.input.Close()
	_ = h.first.Process.Kill()
	_ = h.first.Wait() // its exit code says only that it was killed
}

// Path is where a file of the host is found from outside.
func (h *Host) Path(elements ...string) string {
	return filepath.Join(append([]string{"/proc", strconv.Itoa(h.first.Process.Pid), "root"}, elements...)...)
}

// Command is a command that will run in the host.
func (h *Host) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	enter := []string{"--target", strconv.Itoa(h.first.Process.Pid), "--mount", "--net", "--pid", "--uts", "--ipc", "--", name}
	return exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
}

// Run runs a command in the host and returns its standard output. The error carries its standard error.
func (h *Host) Run(ctx context.Context, name string, args ...string) (string, error) {
	return output(h.Command(ctx, name, args...))
}

// output runs a command; a failure is told with the command's own last words.
func output(command *exec.Cmd) (string, error) {
	text, err := command.Output()
	if err == nil {
		return string(text), nil
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return string(text), &Failure{Command: command.Args, Code: exit.ExitCode(), Text: strings.TrimSpace(string(exit.Stderr))}
	}
	return string(text), fmt.Errorf("engine: %w", err)
}

// Failure is a command that ran and did not end well.
type Failure struct {
	Command []string
	Code    int    // exit code; -1: ended by a signal
	Text    string // what it wrote to standard error, at most the beginning and the end of it
}

func (f *Failure) Error() string {
	return fmt.Sprintf("%s: exit code %d: %s", strings.Join(f.Command, " "), f.Code, f.Text)
}

// Signal sends a signal to a process of the host, named by its PID there.
func (h *Host) Signal(ctx context.Context, pid int, signal syscall.Signal) error {
	_, err := h.Run(ctx, "kill", "-"+strconv.Itoa(int(signal)), strconv.Itoa(pid))
	return err
}

// readInt reads a file that holds one number.
func readInt(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}
