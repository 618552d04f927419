package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// daemon is one run of a program in a host.
type daemon struct {
	command *exec.Cmd
	done    chan struct{} // closed when it has ended
}

func startDaemon(ctx context.Context, host *Host, flags []string, log string) (*daemon, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	defer func() { _ = file.Close() }() // the daemon has its own descriptor
	// ctx does not end it: a signal to nsenter would not reach the daemon behind it.
	command := host.Command(context.WithoutCancel(ctx), "dockerd", flags...)
	command.Stdout, command.Stderr = file, file
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	d := &daemon{command: command, done: make(chan struct{})}
	go func() {
		defer close(d.done)
		_ = command.Wait() // how it ended is in its log
	}()
	return d, nil
}

// fatal is an error that asking again will not cure.
type fatal struct{ error }

func (f fatal) Unwrap() error { return f.error }

// patience is generous: everything that is polled takes a second or two on an idle machine.
const patience = time.Minute

// poll asks every 20 ms until there is no error, ctx ends or patience does: then it tells the last answer.
func poll(ctx context.Context, ask func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ask()
		if err == nil || errors.As(err, new(fatal)) {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}
