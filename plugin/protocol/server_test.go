package protocol

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
)

func TestDeadlines(t *testing.T) {
	lease := 10 * time.Second
	s := New(Options{LeaseWait: func() time.Duration { return lease }, Log: logrus.NewEntry(logrus.New())})
	for _, short := range []time.Duration{0, 10 * time.Second, 20 * time.Second} {
		lease = short
		assert.Equal(t, s.deadline(callMount), 25*time.Second)
		assert.Equal(t, s.deadline(callCreate), 25*time.Second)
	}
	lease = time.Minute
	assert.Equal(t, s.deadline(callMount), 65*time.Second)
	for _, call := range []string{callRemove, callUnmount, callGet, callList, callPath} {
		assert.Equal(t, s.deadline(call), 5*time.Second, call)
	}
	assert.Equal(t, s.deadline("Homelab.TrashEmpty"), 2*time.Minute)
}

// The socket answers before the driver is there; calls wait for it.
func TestCallsWaitForTheDriver(t *testing.T) {
	p := start(t, nil)
	assert.Assert(t, strings.Contains(p.ask(t, callCapabilities, ""), "global"))
	answered := make(chan string, 1)
	go func() {
		text, _ := p.post(callGet, `{"Name":"v"}`)
		answered <- text
	}()
	select {
	case text := <-answered:
		t.Fatalf("answered without a driver: %s", text)
	case <-time.After(50 * time.Millisecond):
	}
	p.Provide(healthy())
	assert.Assert(t, strings.Contains(<-answered, `"Name":"v"`))
}

func TestDriverThatIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{LeaseWait: func() time.Duration { return 0 }, Log: logrus.NewEntry(logrus.New())})
		ctx, cancel := context.WithTimeout(t.Context(), quickLimit)
		defer cancel()
		_, err := s.await(ctx)
		assert.ErrorIs(t, err, errStarting)
	})
}

func TestDriverThatNeverComes(t *testing.T) {
	p := start(t, nil)
	p.Break(errors.New("the state folder cannot be made"))
	p.Provide(healthy())
	assert.Equal(t, p.ask(t, callRemove, `{"Name":"v"}`), "200 OK {\"Err\":\"the state folder cannot be made\"}\n")
	_, err := p.post(callGet, `{"Name":"v"}`)
	assert.ErrorContains(t, err, "EOF")
	_, err = NewClient(p.socket).CatalogRestore(t.Context())
	assert.Error(t, err, "the state folder cannot be made")
}

func TestDrain(t *testing.T) {
	service := healthy()
	entered, release := make(chan struct{}), make(chan struct{})
	service.mount = func(context.Context, string, string, driver.Engine) (string, error) {
		close(entered)
		<-release
		return "/m", nil
	}
	p := start(t, service)
	answered := make(chan string, 1)
	go func() {
		text, _ := p.post(callMount, `{"Name":"v","ID":"1"}`)
		answered <- text
	}()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	assert.ErrorContains(t, p.Drain(ctx), "some calls were not answered")
	_, err := p.post(callRemove, `{"Name":"v"}`)
	assert.ErrorContains(t, err, "EOF")
	close(release)
	assert.NilError(t, p.Drain(t.Context()))
	assert.Assert(t, strings.Contains(<-answered, "/m"))
}

func TestDrainOfAnIdleServer(t *testing.T) {
	s := New(Options{Log: logrus.NewEntry(logrus.New())})
	assert.NilError(t, s.Drain(t.Context()))
	assert.NilError(t, s.Drain(t.Context()))
}

func TestListen(t *testing.T) {
	t.Chdir(t.TempDir()) // short paths for sockets
	first, err := Listen(t.Context(), "sub/p.sock")
	assert.NilError(t, err)
	info, err := os.Stat("sub/p.sock")
	assert.NilError(t, err)
	assert.Equal(t, info.Mode().Perm(), os.FileMode(0o600))

	_, err = Listen(t.Context(), "sub/p.sock")
	assert.ErrorContains(t, err, "answers on sub/p.sock; stop it, or choose another path with --socket")
	assert.NilError(t, first.Close())

	stale, err := net.Listen("unix", "sub/p.sock")
	assert.NilError(t, err)
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	assert.NilError(t, stale.Close())
	again, err := Listen(t.Context(), "sub/p.sock")
	assert.NilError(t, err)
	assert.NilError(t, again.Close())

	assert.NilError(t, os.WriteFile("file", nil, 0o600))
	_, err = Listen(t.Context(), "file")
	assert.ErrorContains(t, err, "file is there and is not a socket; remove it")
	_, err = Listen(t.Context(), filepath.Join("file", "p.sock"))
	assert.ErrorContains(t, err, "making the socket's folder")
	_, err = Listen(t.Context(), strings.Repeat("x", 120))
	assert.ErrorContains(t, err, "listening on")
}
