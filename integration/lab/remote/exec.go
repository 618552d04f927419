package remote

import (
	"context"
	"errors"
	"io"
	"net"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// outputDelay is how long the output of a finished script may stay open, in the hands of a daemon
// that the script left behind, before the status is sent without waiting for it.
const outputDelay = 200 * time.Millisecond

// execute runs a script in a session of its own and streams its output.
func execute(stream net.Conn, script string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	lock := &sync.Mutex{}
	command := exec.CommandContext(ctx, "bash", "-c", script)
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = outputDelay
	command.Stdout = frameWriter{lock: lock, w: stream, kind: frameOutput}
	command.Stderr = frameWriter{lock: lock, w: stream, kind: frameError}
	input, err := command.StdinPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		return reply(stream, err)
	}
	go feed(stream, input, cancel)
	err = command.Wait()
	lock.Lock()
	defer lock.Unlock()
	return writeJSON(stream, frameStatus, exitStatus(command, err))
}

// feed hands the client's input to the command, and cancels the command when the client goes away.
func feed(stream io.Reader, input io.WriteCloser, cancel context.CancelFunc) {
	_, _ = io.Copy(input, &inputReader{stream: stream}) // the command may well close its input early
	_ = input.Close()
	_, _ = io.Copy(io.Discard, stream) // ends when the client does, whatever it still sends
	cancel()
}

// exitStatus says how the command ended. Output that a left-behind daemon still holds is no error.
func exitStatus(command *exec.Cmd, err error) status {
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return status{Code: -1, Error: err.Error()}
	}
	wait, ok := command.ProcessState.Sys().(syscall.WaitStatus)
	if ok && wait.Signaled() {
		return status{Code: 128 + int(wait.Signal())}
	}
	return status{Code: command.ProcessState.ExitCode()}
}
