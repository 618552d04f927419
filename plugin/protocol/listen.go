package protocol

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/plugin/process"
)

// dialLimit bounds the question whether somebody answers on a socket.
const dialLimit = time.Second

// Listen makes the socket, 0600. A socket that nobody answers is what a killed plugin left, and is replaced; one that is
// answered belongs to another plugin and is an error, as is a file that is no socket.
func Listen(ctx context.Context, path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("making the socket's folder: %w", err)
	}
	if err := makeRoom(ctx, path); err != nil {
		return nil, err
	}
	var config net.ListenConfig
	opened, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("protecting the socket: %w", err), opened.Close())
	}
	return listener{opened}, nil
}

// makeRoom makes room for the socket.
func makeRoom(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("looking at the socket: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is there and is not a socket; remove it, or choose another path with --socket", path)
	}
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err == nil {
		other := peer(conn)
		return errors.Join(fmt.Errorf("another plugin (process %d) answers on %s; stop it, or choose another path with --socket", other.PID, path), conn.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("asking who answers on %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing the socket of an ended plugin: %w", err)
	}
	return nil
}

// listener gives connections that know their peer. The sdk's server passes only the remote address on to handlers, so the
// peer travels in it.
type listener struct{ net.Listener }

// Accept waits for a connection.
func (l listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return peerConn{conn, peerAddr(peer(conn))}, nil
}

type peerConn struct {
	net.Conn
	addr peerAddr
}

// RemoteAddr is the peer.
func (c peerConn) RemoteAddr() net.Addr { return c.addr }

type peerAddr driver.Engine

// Network names the kind of address.
func (peerAddr) Network() string { return "unix" }

// String is process/start.
func (a peerAddr) String() string { return fmt.Sprintf("%d/%d", a.PID, a.Started) }

// parsePeer reads what String wrote; a peer that is not known is zero.
func parsePeer(text string) driver.Engine {
	var engine driver.Engine
	if _, err := fmt.Sscanf(text, "%d/%d", &engine.PID, &engine.Started); err != nil {
		return driver.Engine{}
	}
	return engine
}

// peer asks the kernel who made the connection (SO_PEERCRED, unix(7)) and when that process began. It is the engine, or
// our own command line.
func peer(conn net.Conn) driver.Engine {
	raw, ok := conn.(syscall.Conn)
	if !ok {
		return driver.Engine{}
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return driver.Engine{}
	}
	var pid int32
	err = control.Control(func(fd uintptr) {
		if credentials, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			pid = credentials.Pid
		}
	})
	if err != nil || pid <= 0 {
		return driver.Engine{}
	}
	return process.Of(int(pid))
}
