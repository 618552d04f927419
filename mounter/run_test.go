package mounter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/mounter"
)

func asErrno(err error, target *unix.Errno) bool { return errors.As(err, target) }

func shell(script string) mounter.Command {
	return mounter.Command{Name: "sh", Args: []string{"-c", script}}
}

func TestRunOnTheHost(t *testing.T) {
	f := newFixture(t)
	f.poolFolder(t, "seen-by-run")
	output, err := f.Run(t.Context(), shell("ls "+f.pool.Path+"; pwd; env; echo oops >&2; exit 7"))
	assert.NilError(t, err)
	assert.Equal(t, output.Code, 7)
	assert.Equal(t, output.Stderr, "oops\n")
	assert.Assert(t, strings.Contains(output.Stdout, "seen-by-run\n"), output.Stdout)
	assert.Assert(t, strings.Contains(output.Stdout, "\n/\n"))
	assert.Assert(t, strings.Contains(output.Stdout, "LC_ALL=C\n"))
	assert.Assert(t, !strings.Contains(output.Stdout, "MOUNTER_TEST"), "the environment must not leak")
}

func TestRunIsOutsideThePluginsCgroup(t *testing.T) {
	f := newFixture(t)
	output, err := f.Run(t.Context(), mounter.Command{Name: "cat", Args: []string{"/proc/self/cgroup"}})
	assert.NilError(t, err)
	for line := range strings.Lines(strings.TrimSpace(output.Stdout)) {
		assert.Assert(t, strings.HasSuffix(strings.TrimSpace(line), ":/"), "not in a root cgroup: %s", line)
	}
	assert.Assert(t, output.Stdout != "")
}

func TestRunCutsOutput(t *testing.T) {
	const limit = 64 << 10
	f := newFixture(t)
	printed := func(script string) string {
		t.Helper()
		output, err := f.Run(t.Context(), shell(script))
		assert.NilError(t, err)
		assert.Equal(t, output.Code, 0, output.Stderr)
		return output.Stdout
	}
	assert.Equal(t, printed("yes | head -c 65536"), strings.Repeat("y\n", limit/2), "what fits is not cut")
	said := printed("seq 1000000; echo the verdict") // 6.6 MiB
	assert.Assert(t, strings.HasSuffix(said, "\n999999\n1000000\nthe verdict\n"), said[len(said)-100:])
	assert.Assert(t, limit-len("1000000\n") <= len(said) && len(said) <= limit, "%d", len(said))
	var first, second int
	_, err := fmt.Sscanf(said, "%d\n%d\n", &first, &second)
	assert.NilError(t, err)
	assert.Assert(t, first > 900000 && second == first+1, "it begins within a line: %s", said[:20])

	for script, rest := range map[string]string{"": "", "echo": "\n"} { // one line that does not fit
		said = printed("echo start; head -c 100000 /dev/zero | tr '\\0' x; " + script)
		assert.Equal(t, said, strings.Repeat("x", limit-len(rest))+rest)
	}
}

// A program that prints without end fails at it, and takes no more memory.
func TestRunBoundsMemory(t *testing.T) {
	f := newFixture(t)
	output, err := f.Run(t.Context(), shell("yes"))
	assert.NilError(t, err)
	assert.Equal(t, output.Code, 1)
	assert.Assert(t, strings.Contains(output.Stderr, "Operation not permitted"), output.Stderr)
	assert.Equal(t, output.Stdout, strings.Repeat("y\n", len(output.Stdout)/2))
	assert.Assert(t, len(output.Stdout) > 32<<10)
}

func TestRunNamesWhatIsMissing(t *testing.T) {
	f := newFixture(t)
	_, err := f.Run(t.Context(), mounter.Command{Name: "no-such-program"})
	assert.ErrorIs(t, err, unix.ENOENT)
	assert.ErrorContains(t, err, "the host has no program no-such-program")
	_, err = f.Run(t.Context(), mounter.Command{Name: "../bin/sh"})
	assert.ErrorIs(t, err, unix.EINVAL)
}

// The child's child has a pipe open for writing, which ends when nobody has it open any more.
func TestRunKillsTheGroupAtTheLimit(t *testing.T) {
	f := newFixture(t)
	pipe := filepath.Join(f.poolFolder(t, "limit"), "pipe")
	assert.NilError(t, unix.Mkfifo(pipe, 0o600))
	reading, err := os.OpenFile(pipe, os.O_RDONLY|unix.O_NONBLOCK, 0)
	assert.NilError(t, err)
	defer reading.Close()
	command := shell(fmt.Sprintf("sleep 300 >%s/limit/pipe & wait", f.pool.Path))
	command.Limit = 300 * time.Millisecond
	_, err = f.Run(t.Context(), command)
	assert.ErrorIs(t, err, unix.ETIMEDOUT)
	assert.ErrorContains(t, err, "killed after 300ms")
	assert.NilError(t, reading.SetReadDeadline(time.Now().Add(time.Minute)))
	_, err = reading.Read(make([]byte, 1))
	assert.ErrorIs(t, err, io.EOF, "the child's child lives on")
}

func TestRunGoesOnWhenItsCallerLeaves(t *testing.T) {
	f := newFixture(t)
	folder := f.poolFolder(t, "leaves")
	command := shell(fmt.Sprintf("cd %s/leaves; : >started; while [ ! -e go ]; do sleep 0.02; done; : >done", f.pool.Path))
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := f.Run(ctx, command)
		result <- err
	}()
	eventually(t, "the program has started", func() bool {
		_, err := os.Stat(filepath.Join(folder, "started"))
		return err == nil
	})
	cancel()
	assert.ErrorIs(t, <-result, mounter.ErrStuck)
	_, err := f.Run(t.Context(), command)
	assert.ErrorIs(t, err, mounter.ErrBusy)
	assert.NilError(t, os.WriteFile(filepath.Join(folder, "go"), nil, 0o600))
	eventually(t, "the program has ended", func() bool {
		_, err := os.Stat(filepath.Join(folder, "done"))
		return err == nil
	})
	eventually(t, "the key is free", func() bool {
		_, err := f.Run(t.Context(), command)
		return err == nil
	})
}

func TestResolveLocalhost(t *testing.T) {
	f := newFixture(t)
	addresses, err := f.Resolve(t.Context(), "localhost")
	assert.NilError(t, err)
	assert.Assert(t, len(addresses) > 0)
	for _, address := range addresses {
		assert.Assert(t, address.IsLoopback())
	}
	addresses, err = f.Resolve(t.Context(), "192.0.2.7")
	assert.NilError(t, err)
	assert.Equal(t, addresses[0].String(), "192.0.2.7")
	for _, bad := range []string{"", "-h", "a b", "nas/share"} {
		_, err := f.Resolve(t.Context(), bad)
		assert.ErrorIs(t, err, unix.EINVAL, bad)
	}
}

func TestClusterWithoutTheRegion(t *testing.T) {
	f := newFixture(t)
	cluster, err := f.Cluster(t.Context(), strings.Repeat("A", 32))
	assert.NilError(t, err)
	assert.Assert(t, !cluster.Region && cluster.Live == nil)
	if _, err := os.Stat(f.HostPath("/sys/kernel/config/cluster")); errors.Is(err, os.ErrNotExist) {
		assert.Equal(t, cluster.Name, "")
	}
}
