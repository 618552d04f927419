package box

import (
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Listen listens in the box's network with a socket of this process. Closing it is the caller's.
func (b *Box) Listen(network, address string) (net.Listener, error) {
	type result struct {
		listener net.Listener
		err      error
	}
	made := make(chan result, 1)
	go func() {
		// Never unlocked: the thread is in the box's network for good, and ends with this goroutine.
		runtime.LockOSThread()
		listener, err := b.listenHere(network, address)
		made <- result{listener, err}
	}()
	done := <-made
	return done.listener, done.err
}

// listenHere takes this thread into the box's network.
func (b *Box) listenHere(network, address string) (net.Listener, error) {
	namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", b.Pid()))
	if err != nil {
		return nil, fmt.Errorf("box: find its network: %w", err)
	}
	defer namespace.Close() //nolint:errcheck // nothing is written
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("box: enter its network: %w", err)
	}
	return net.Listen(network, address) //nolint:noctx // it returns at once
}
