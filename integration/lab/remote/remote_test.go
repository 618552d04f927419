package remote_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sirupsen/logrus"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"github.com/homelab-storage/homelab-storage/integration/lab/remote"
)

// connected returns a client whose server runs in this process.
func connected(t *testing.T) *remote.Client {
	t.Helper()
	near, far := net.Pipe()
	served := make(chan error, 1)
	log := logrus.New()
	log.SetOutput(io.Discard)
	go func() { served <- remote.Serve(far, logrus.NewEntry(log)) }()
	client, err := remote.NewClient(near)
	assert.NilError(t, err)
	t.Cleanup(func() {
		assert.NilError(t, client.Close())
		// A pipe in memory may say that it is closed where a real link says that it has ended.
		if err := <-served; !errors.Is(err, io.ErrClosedPipe) {
			assert.NilError(t, err)
		}
	})
	return client
}

func TestExec(t *testing.T) {
	client := connected(t)
	for _, test := range []struct {
		name, script string
		want         remote.Result
	}{
		{"streams are apart", "echo out; echo err >&2", remote.Result{Stdout: "out\n", Stderr: "err\n"}},
		{"exit code", "exit 7", remote.Result{Code: 7}},
		{"signal", "kill -KILL $$", remote.Result{Code: 137}},
		{"input is empty", "cat; echo end", remote.Result{Stdout: "end\n"}},
		{"a daemon keeps the output open", "sleep 1000 & echo $! >/dev/null; echo started", remote.Result{Stdout: "started\n"}},
		{"much output", "head -c 1000000 /dev/zero | tr '\\0' x", remote.Result{Stdout: strings.Repeat("x", 1000000)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := client.Exec(t.Context(), test.script)
			assert.NilError(t, err)
			assert.DeepEqual(t, got, test.want)
		})
	}
}

func TestInput(t *testing.T) {
	client := connected(t)
	var output bytes.Buffer
	input := strings.Repeat("0123456789", 20000)
	code, err := client.Run(t.Context(), remote.Command{Script: "cat", Stdin: strings.NewReader(input), Stdout: &output})
	assert.NilError(t, err)
	assert.Equal(t, code, 0)
	assert.Assert(t, output.String() == input)
}

func TestOutputCarriesWhatWentWrong(t *testing.T) {
	client := connected(t)
	output, err := client.Output(t.Context(), "echo ' fine '")
	assert.NilError(t, err)
	assert.Equal(t, output, "fine")
	_, err = client.Output(t.Context(), "echo almost; echo but no >&2; exit 3")
	assert.ErrorContains(t, err, "exit code 3\nalmost\nbut no")
}

// A test that gives up must not leave its command running on the other side.
func TestCancelKillsTheProcessGroup(t *testing.T) {
	client := connected(t)
	reason := errors.New("lost patience")
	ctx, cancel := context.WithCancelCause(t.Context())
	file := filepath.Join(t.TempDir(), "pid")
	go func() {
		_, _ = client.Output(t.Context(), "until [ -s "+file+" ]; do sleep 0.01; done")
		cancel(reason)
	}()
	_, err := client.Exec(ctx, "sleep 1000 & echo $! >"+file+"; wait")
	assert.ErrorIs(t, err, reason)
	wait, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	_, err = client.Output(wait, "stat=/proc/$(cat "+file+")/stat; while [ -e $stat ] && ! grep -q ') Z ' $stat; do sleep 0.01; done")
	assert.NilError(t, err, "the child of the script still runs")
}

func TestRequestsRunSideBySide(t *testing.T) {
	client := connected(t)
	file := filepath.Join(t.TempDir(), "fifo")
	_, err := client.Output(t.Context(), "mkfifo "+file)
	assert.NilError(t, err)
	read := make(chan string, 1)
	go func() {
		output, _ := client.Output(t.Context(), "cat "+file)
		read <- output
	}()
	_, err = client.Output(t.Context(), "echo hello >"+file)
	assert.NilError(t, err)
	assert.Equal(t, <-read, "hello")
}

func TestPut(t *testing.T) {
	client := connected(t)
	path := filepath.Join(t.TempDir(), "new", "file")
	content := strings.Repeat("content ", 50000)
	assert.NilError(t, client.Put(t.Context(), strings.NewReader(content), path, 0o750))
	got, err := os.ReadFile(path)
	assert.NilError(t, err)
	assert.Assert(t, string(got) == content)
	info, err := os.Stat(path)
	assert.NilError(t, err)
	assert.Equal(t, info.Mode().Perm(), os.FileMode(0o750))

	assert.ErrorContains(t, client.Put(t.Context(), strings.NewReader(""), "relative", 0o600), `put "relative": the path must be absolute`)
}

// A source that fails half-way must not become a short file.
func TestPutBrokenSource(t *testing.T) {
	client := connected(t)
	folder, err := os.MkdirTemp("", "broken-source") //nolint:usetesting // the server may still write to it when the test ends
	assert.NilError(t, err)
	t.Cleanup(func() {
		poll.WaitOn(t, func(poll.LogT) poll.Result {
			if err := os.RemoveAll(folder); err != nil {
				return poll.Continue("%v", err)
			}
			return poll.Success()
		})
	})
	path := filepath.Join(folder, "file")
	broken := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errors.New("disk on fire")))
	assert.ErrorContains(t, client.Put(t.Context(), broken, path, 0o600), "disk on fire")
	_, err = os.Stat(path)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestDial(t *testing.T) {
	client := connected(t)
	path := filepath.Join(t.TempDir(), "socket")
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
	assert.NilError(t, err)
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = io.CopyN(conn, conn, 4)
		_ = conn.Close()
	}()
	ctx, cancel := context.WithCancel(t.Context())
	conn, err := client.Dial(ctx, "unix", path)
	assert.NilError(t, err)
	cancel() // it bounds the attempt only: the lab outlives the test that booted a node
	_, err = io.WriteString(conn, "echo")
	assert.NilError(t, err)
	echoed, err := io.ReadAll(conn)
	assert.NilError(t, err)
	assert.Equal(t, string(echoed), "echo")

	_, err = client.Dial(t.Context(), "unix", path+"-not")
	assert.ErrorContains(t, err, "no such file or directory")
}

// A machine that loses power in the middle of a command is an error, not an exit code.
func TestTheOtherSideGoesAway(t *testing.T) {
	near, far := net.Pipe()
	client, err := remote.NewClient(near)
	assert.NilError(t, err)
	defer client.Close()
	go func() {
		_, _ = io.CopyN(io.Discard, far, 20)
		_ = far.Close()
	}()
	_, err = client.Exec(t.Context(), "true")
	assert.ErrorContains(t, err, "remote: ")
}
