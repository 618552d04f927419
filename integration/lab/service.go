package lab

import (
	"context"
	"fmt"
	"os"

	"github.com/homelab-storage/homelab-storage/integration/lab/remote"
)

// Service is one of the NAS's servers.
type Service struct {
	lab  *Lab
	name string
	// script ends in an exec of the server in the foreground, ready succeeds when it serves, and
	// configure tells a fresh server what to export.
	script, ready, configure string
	log                      *os.File
	done                     chan struct{} // closed when the server has ended; nil before the first start
}

// Start starts the server and returns when it serves. A running one is left alone.
func (s *Service) Start(ctx context.Context) error {
	if s.running() {
		return nil
	}
	done := make(chan struct{})
	s.done = done
	// Without /dev/null smbd would take the end of its input for an order to end.
	script := fmt.Sprintf("echo $$ >%s; exec </dev/null; %s", s.pidFile(), s.script)
	go func() {
		defer close(done)
		// How it ended is in its log; that it ended is what done says.
		_, _ = s.lab.box.Run(context.WithoutCancel(ctx), remote.Command{Script: script, Stdout: s.log, Stderr: s.log})
	}()
	if _, err := s.lab.box.Output(ctx, fmt.Sprintf(`
for try in $(seq 500); do
	%s >/dev/null 2>&1 && exit
	sleep 0.02
done
echo %s does not serve after 10 s >&2
exit 1`, s.ready, s.name)); err != nil {
		return err
	}
	if s.configure == "" {
		return nil
	}
	_, err := s.lab.box.Output(ctx, s.configure)
	return err
}

// Stop kills the server and every process of it, as when the NAS loses power; what it had written
// is on its disk.
func (s *Service) Stop(ctx context.Context) error {
	if !s.running() {
		return nil
	}
	if err := s.signal(ctx, "KILL"); err != nil {
		return err
	}
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("lab: %s still runs: %w", s.name, context.Cause(ctx))
	}
}

// Hang stops the server's processes without closing anything: connections stay open and nothing
// answers, as when the NAS's disks stand still.
func (s *Service) Hang(ctx context.Context) error { return s.signal(ctx, "STOP") }

// Continue undoes [Service.Hang].
func (s *Service) Continue(ctx context.Context) error { return s.signal(ctx, "CONT") }

func (s *Service) running() bool {
	if s.done == nil {
		return false
	}
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

func (s *Service) heal(ctx context.Context) error {
	if s.running() {
		return s.Continue(ctx)
	}
	return s.Start(ctx)
}

func (s *Service) pidFile() string { return "/run/lab/" + s.name + ".pid" }

// signal reaches the whole process group: every connection of smbd is a process.
func (s *Service) signal(ctx context.Context, name string) error {
	_, err := s.lab.box.Output(ctx, fmt.Sprintf("kill -%s -- -$(cat %s)", name, s.pidFile()))
	return err
}
