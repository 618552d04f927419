package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"time"

	"github.com/hashicorp/yamux"
)

// Command is a shell script to run on the other side.
type Command struct {
	// Script is given to bash -c, at most 128 KiB (the kernel's MAX_ARG_STRLEN).
	Script string
	// Stdin is the script's input; nil is an empty one. Its reader may outlive the command by one
	// pending Read.
	Stdin io.Reader
	// Stdout and Stderr receive what the script writes, as it comes; nil discards.
	Stdout, Stderr io.Writer
}

// Result is what a finished command left.
type Result struct {
	Stdout, Stderr string
	// Code is the exit code; 128 plus the signal's number when a signal ended the command.
	Code int
}

// Client asks one agent. It is safe for use by several goroutines.
type Client struct {
	open  func(context.Context) (net.Conn, error)
	close func() error
}

// NewClient speaks over link, which it owns from now on. The other side need not listen yet:
// requests wait until it does.
func NewClient(link io.ReadWriteCloser) (*Client, error) {
	session, err := yamux.Client(link, multiplexing())
	if err != nil {
		return nil, fmt.Errorf("remote: start session: %w", err)
	}
	return &Client{
		open:  func(context.Context) (net.Conn, error) { return session.OpenStream() },
		close: session.Close,
	}, nil
}

// NewStreamClient makes a client whose every request takes its own stream from open. It is for a
// process that reaches an agent through another one that holds the link, see [Client.Stream].
func NewStreamClient(open func(context.Context) (net.Conn, error)) *Client {
	return &Client{open: open, close: func() error { return nil }}
}

// Stream opens a raw stream to the agent, for handing on to a [NewStreamClient].
func (c *Client) Stream(ctx context.Context) (net.Conn, error) { return c.open(ctx) }

// Close ends the link; commands still running on the other side are killed.
func (c *Client) Close() error { return c.close() }

// Run runs the command and returns its exit code. A command that ends with another code than 0 is
// not an error. When ctx ends first the command is killed and the error is ctx's cause.
func (c *Client) Run(ctx context.Context, command Command) (int, error) {
	stream, detach, err := c.request(ctx, request{Op: opExec, Script: command.Script})
	if err != nil {
		return -1, err
	}
	defer stream.Close() //nolint:errcheck // all that counts has been read
	defer detach()
	if command.Stdin == nil {
		command.Stdin = strings.NewReader("")
	}
	go func() {
		if sendInput(stream, command.Stdin) != nil {
			// A broken reader ends the input; a broken stream shows in receive.
			_ = writeFrame(stream, frameInput, nil)
		}
	}()
	done, err := receive(stream, orDiscard(command.Stdout), orDiscard(command.Stderr))
	if err != nil {
		return -1, causeOr(ctx, err)
	}
	return done.Code, done.err()
}

// Exec runs a script and collects its output; see [Client.Run] for errors.
func (c *Client) Exec(ctx context.Context, script string) (Result, error) {
	var stdout, stderr bytes.Buffer
	code, err := c.Run(ctx, Command{Script: script, Stdout: &stdout, Stderr: &stderr})
	return Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: code}, err
}

// Output runs a script that must succeed and returns its standard output without surrounding
// space. A non-zero exit code is an error that carries the script and everything it wrote.
func (c *Client) Output(ctx context.Context, script string) (string, error) {
	result, err := c.Exec(ctx, script)
	if err == nil && result.Code != 0 {
		err = fmt.Errorf("exit code %d", result.Code)
	}
	if err != nil {
		return "", fmt.Errorf("run %q: %w\n%s%s", script, err, result.Stdout, result.Stderr)
	}
	return strings.TrimSpace(result.Stdout), nil
}

// Put writes what r holds to path with the given permission bits: a temporary file beside it, then
// a rename, so that a program may be replaced while it runs. Missing folders are made.
func (c *Client) Put(ctx context.Context, r io.Reader, path string, mode fs.FileMode) error {
	stream, detach, err := c.request(ctx, request{Op: opPut, Path: path, Mode: uint32(mode.Perm())})
	if err != nil {
		return err
	}
	defer stream.Close() //nolint:errcheck // all that counts has been read
	defer detach()
	if err := sendInput(stream, r); err != nil {
		return fmt.Errorf("remote: send %s: %w", path, causeOr(ctx, err))
	}
	done, err := receive(stream, io.Discard, io.Discard)
	if err != nil {
		return fmt.Errorf("remote: put %s: %w", path, causeOr(ctx, err))
	}
	return done.err()
}

// Dial connects from the other side, in its network namespace and file tree: "tcp" to a host and
// port, "unix" to a socket's path. The end of ctx ends the attempt, not a connection that was made.
func (c *Client) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	stream, detach, err := c.request(ctx, request{Op: opDial, Network: network, Address: address})
	if err != nil {
		return nil, err
	}
	var done status
	err = readJSON(stream, frameStatus, &done)
	if err == nil {
		err = done.err()
	}
	if !detach() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = stream.Close()
		return nil, fmt.Errorf("remote: dial %s %s: %w", network, address, causeOr(ctx, err))
	}
	return stream, nil
}

// request opens a stream and sends req. The end of ctx closes the stream until detach is called,
// which says whether it came in time.
func (c *Client) request(ctx context.Context, req request) (stream net.Conn, detach func() bool, err error) {
	stream, err = c.open(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("remote: open stream: %w", err)
	}
	detach = context.AfterFunc(ctx, func() {
		_ = stream.SetDeadline(time.Unix(1, 0)) // wakes a pending Read or Write at once
		_ = stream.Close()
	})
	if err := writeJSON(stream, frameRequest, req); err != nil {
		detach()
		_ = stream.Close()
		return nil, nil, fmt.Errorf("remote: send request: %w", causeOr(ctx, err))
	}
	return stream, detach, nil
}

// sendInput sends what input holds. When reading fails, the end of input is not sent.
func sendInput(stream io.Writer, input io.Reader) error {
	chunk := make([]byte, chunkSize)
	for {
		n, err := input.Read(chunk)
		if n > 0 {
			if err := writeFrame(stream, frameInput, chunk[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return writeFrame(stream, frameInput, nil)
		}
		if err != nil {
			return err
		}
	}
}

func receive(stream io.Reader, stdout, stderr io.Writer) (status, error) {
	for {
		kind, payload, err := readFrame(stream)
		if err != nil {
			return status{}, fmt.Errorf("remote: the other side went away: %w", err)
		}
		switch kind {
		case frameOutput:
			_, err = stdout.Write(payload)
		case frameError:
			_, err = stderr.Write(payload)
		case frameStatus:
			var done status
			return done, json.Unmarshal(payload, &done)
		default:
			err = fmt.Errorf("remote: unexpected frame of kind %d", kind)
		}
		if err != nil {
			return status{}, err
		}
	}
}

func orDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

// causeOr prefers the reason why ctx ended to the broken stream that followed from it.
func causeOr(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}
