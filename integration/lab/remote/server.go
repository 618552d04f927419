package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"github.com/hashicorp/yamux"
	"github.com/sirupsen/logrus"
)

// Serve answers requests that come over link until it ends; the other side's orderly end is nil.
// Commands still running then are killed.
func Serve(link io.ReadWriteCloser, log *logrus.Entry) error {
	session, err := yamux.Server(link, multiplexing())
	if err != nil {
		return fmt.Errorf("remote: start session: %w", err)
	}
	defer session.Close() //nolint:errcheck // the session has ended already
	for {
		stream, err := session.AcceptStream()
		if errors.Is(err, io.EOF) || errors.Is(err, yamux.ErrSessionShutdown) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("remote: accept: %w", err)
		}
		go func() {
			defer stream.Close() //nolint:errcheck // the client has its status or is gone
			// A client may end its session as soon as it has its status.
			if err := answer(stream); err != nil && !errors.Is(err, yamux.ErrSessionShutdown) {
				log.WithError(err).Warn("request ended early")
			}
		}()
	}
}

// answer serves one stream.
func answer(stream net.Conn) error {
	var req request
	if err := readJSON(stream, frameRequest, &req); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	switch req.Op {
	case opExec:
		return execute(stream, req.Script)
	case opPut:
		return reply(stream, put(stream, req))
	case opDial:
		return connect(stream, req)
	}
	return reply(stream, fmt.Errorf("unknown operation %q", req.Op))
}

// reply sends the status that ends a request.
func reply(stream io.Writer, err error) error {
	done := status{}
	if err != nil {
		done = status{Code: -1, Error: err.Error()}
	}
	return writeJSON(stream, frameStatus, done)
}

// inputReader reads the payload of input frames until the empty one.
type inputReader struct {
	stream  io.Reader
	pending []byte
	done    bool
}

// Read returns io.EOF only after the client said so; a stream that ends before is
// io.ErrUnexpectedEOF, so that a broken transfer is not taken for a short file.
func (r *inputReader) Read(p []byte) (int, error) {
	for len(r.pending) == 0 && !r.done {
		kind, payload, err := readFrame(r.stream)
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err == nil && kind != frameInput {
			err = fmt.Errorf("frame of kind %d where input belongs", kind)
		}
		if err != nil {
			return 0, err
		}
		r.pending, r.done = payload, len(payload) == 0
	}
	if r.done {
		return 0, io.EOF
	}
	n := copy(p, r.pending)
	r.pending = r.pending[n:]
	return n, nil
}

// put receives a file into a temporary one beside its target and renames it.
func put(stream io.Reader, req request) error {
	if !filepath.IsAbs(req.Path) {
		return fmt.Errorf("put %q: the path must be absolute", req.Path)
	}
	if err := os.MkdirAll(filepath.Dir(req.Path), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(req.Path), ".put-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // gone after the rename
	_, err = io.Copy(file, &inputReader{stream: stream})
	if chmodErr := file.Chmod(os.FileMode(req.Mode)); err == nil {
		err = chmodErr
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(file.Name(), req.Path)
}

// connect opens a connection and carries bytes both ways until either side ends.
func connect(stream net.Conn, req request) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, req.Network, req.Address)
	if replyErr := reply(stream, err); err != nil || replyErr != nil {
		return replyErr
	}
	defer conn.Close() //nolint:errcheck // nothing is left to lose
	go func() {
		_, _ = io.Copy(conn, stream)
		_ = conn.Close()
	}()
	_, err = io.Copy(stream, conn)
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
