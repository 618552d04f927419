package protocol

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/docker/go-plugins-helpers/sdk"
	"github.com/sirupsen/logrus"
)

// manifest is the answer to Plugin.Activate.
const manifest = `{"Implements": ["VolumeDriver"]}`

// Observer is told of every answered call, for metrics. It must not wait.
type Observer func(call string, took time.Duration, err error)

// Options say how calls are answered.
type Options struct {
	// LeaseWait is how long a Mount may wait for another node; the deadline of Mount and Create follows it.
	LeaseWait func() time.Duration
	Log       *logrus.Entry
	Observe   Observer // may be nil
}

// Server answers calls.
type Server struct {
	options Options
	handler sdk.Handler
	ready   chan struct{}
	once    sync.Once
	service Service // valid when ready is closed and broken is nil
	broken  error   // valid when ready is closed

	mu       sync.Mutex // guards what follows
	running  int
	stopping bool
	idle     chan struct{} // closed when stopping and nothing runs
}

// New makes a server of which every call waits until [Server.Provide] or [Server.Break].
func New(options Options) *Server {
	s := &Server{
		options: options, handler: sdk.NewHandler(manifest),
		ready: make(chan struct{}), idle: make(chan struct{}),
	}
	s.volumeRoutes()
	s.administrationRoutes()
	return s
}

// Provide gives the service that answers calls from now on; the first of Provide and Break counts.
func (s *Server) Provide(service Service) {
	s.once.Do(func() {
		s.service = service
		close(s.ready)
	})
}

// Break says why there will be no service: every call answers it, but for Get, which the engine would misunderstand.
func (s *Server) Break(reason error) {
	s.once.Do(func() {
		s.broken = reason
		close(s.ready)
	})
}

// Serve answers calls until the listener is closed, which is no error.
func (s *Server) Serve(listener net.Listener) error {
	if err := s.handler.Serve(listener); !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("answering calls: %w", err)
	}
	return nil
}

// Drain refuses new calls and waits until the running ones are answered, or until the context ends. Close the listener
// first.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock()
	first := !s.stopping
	s.stopping = true
	if first && s.running == 0 {
		close(s.idle)
	}
	s.mu.Unlock()
	select {
	case <-s.idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("some calls were not answered: %w", ctx.Err())
	}
}

// begin counts a call in; false says that the server is stopping.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.running++
	return true
}

func (s *Server) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running--; s.stopping && s.running == 0 {
		close(s.idle)
	}
}

// errStarting says that the driver was not there within the call's deadline.
var errStarting = errors.New("homelab-storage is still starting on this node; try again in a moment")

// await waits for the service.
func (s *Server) await(ctx context.Context) (Service, error) {
	select {
	case <-s.ready:
		return s.service, s.broken
	case <-ctx.Done():
		return nil, errStarting
	}
}

// Deadlines (DESIGN D10). The engine's client gives up after 30 s by default.
const (
	slowLimit   = 25 * time.Second
	leaseMargin = 5 * time.Second
	quickLimit  = 5 * time.Second
	// adminLimit leaves time for deleting much trash.
	adminLimit = 2 * time.Minute
)

// deadline is how long a call may take. Reads answer from memory; their limit matters only while the driver starts, and is
// long because a Get that is cut off is repeated by the engine with its body lost.
func (s *Server) deadline(call string) time.Duration {
	switch {
	case call == callCreate || call == callMount:
		return max(slowLimit, s.options.LeaseWait()+leaseMargin)
	case strings.HasPrefix(call, adminPrefix):
		return adminLimit
	}
	return quickLimit
}
