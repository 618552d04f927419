//go:build integration

package engine_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/engine"
	"github.com/homelab-storage/homelab-storage/integration/need"
	"github.com/homelab-storage/homelab-storage/integration/standin"
)

// owner is set in the process that TestNothingIsLeftOfAKilledOwner starts and kills.
const owner = "ENGINE_TEST_OWNER"

func TestMain(m *testing.M) {
	if os.Getenv(owner) == "" {
		os.Exit(m.Run())
	}
	if err := own(context.Background()); err != nil {
		os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
}

// own starts an engine with a container, tells its folder, and waits to be killed.
func own(ctx context.Context) error {
	e, err := engine.Start(ctx, engine.Options{})
	if err != nil {
		return err
	}
	if err := run(ctx, e); err != nil {
		return err
	}
	os.Stdout.WriteString(filepath.Dir(e.LogFile()) + "\n")
	select {}
}

func run(ctx context.Context, e *engine.Engine) error {
	var image bytes.Buffer
	if err := standin.Write(ctx, &image); err != nil {
		return err
	}
	if _, err := e.DockerInput(ctx, &image, "import", "-", standin.Name); err != nil {
		return err
	}
	_, err := e.Docker(ctx, "run", "--detach", "--stop-timeout", "1", "--name", "sleeper", standin.Name, "sleep", "600")
	return err
}

func start(t *testing.T, options engine.Options) *engine.Engine {
	t.Helper()
	need.Engine(t)
	e, err := engine.Start(t.Context(), options)
	assert.NilError(t, err)
	t.Cleanup(func() { assert.NilError(t, e.Close()) })
	assert.NilError(t, run(t.Context(), e))
	return e
}

func running(t *testing.T, e *engine.Engine) string {
	t.Helper()
	names, err := e.Docker(t.Context(), "ps", "--format", "{{.Names}}")
	assert.NilError(t, err)
	return strings.TrimSpace(names)
}

func TestRestartEndsContainersWithoutLiveRestore(t *testing.T) {
	e := start(t, engine.Options{})
	assert.Equal(t, running(t, e), "sleeper")
	assert.NilError(t, e.Restart(t.Context()))
	assert.Equal(t, running(t, e), "")
}

func TestLiveRestoreKeepsContainersOverRestartAndKill(t *testing.T) {
	e := start(t, engine.Options{LiveRestore: true})
	assert.NilError(t, e.Restart(t.Context()))
	assert.Equal(t, running(t, e), "sleeper")
	assert.NilError(t, e.Kill(t.Context()))
	assert.NilError(t, e.Boot(t.Context()))
	assert.Equal(t, running(t, e), "sleeper")
}

func TestTheHostIsNotTheMachine(t *testing.T) {
	e := start(t, engine.Options{Name: "elsewhere"})
	name, err := e.Run(t.Context(), "hostname")
	assert.NilError(t, err)
	assert.Equal(t, name, "elsewhere\n")
	_, err = e.Run(t.Context(), "sh", "-c", "mkdir -p /etc/homelab-storage-probe && echo x >/var/lib/homelab-storage/probe")
	assert.NilError(t, err)
	for _, path := range []string{"/etc/homelab-storage-probe", "/var/lib/homelab-storage/probe"} {
		_, err := os.Stat(path)
		assert.ErrorIs(t, err, os.ErrNotExist)
		_, err = os.Stat(e.Path(path))
		assert.NilError(t, err)
	}
}

func TestACommandThatFailsTellsItsLastWords(t *testing.T) {
	e := start(t, engine.Options{})
	_, err := e.Docker(t.Context(), "volume", "inspect", "absent")
	assert.ErrorContains(t, err, "no such volume")
	failure := (*engine.Failure)(nil)
	assert.Assert(t, errors.As(err, &failure))
	assert.Equal(t, failure.Code, 1)
}

func TestNothingIsLeftOfAKilledOwner(t *testing.T) {
	need.Engine(t)
	program, err := os.Executable()
	assert.NilError(t, err)
	command := exec.CommandContext(t.Context(), program)
	command.Env = append(os.Environ(), owner+"=1")
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	assert.NilError(t, err)
	assert.NilError(t, command.Start())
	folder, err := bufio.NewReader(output).ReadString('\n')
	assert.NilError(t, err)
	folder = strings.TrimSpace(folder)
	assert.Assert(t, len(users(t, folder)) > 0, "no process of the engine was found: the search is wrong")

	assert.NilError(t, command.Process.Kill())
	_ = command.Wait()
	deadline := time.After(10 * time.Second)
	for tick := time.NewTicker(50 * time.Millisecond); len(users(t, folder)) > 0; {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("10 s after its owner's death these still run: %v", users(t, folder))
		}
	}
	start(t, engine.Options{}) // clears away what the kernel leaves
	for _, pattern := range []string{folder, "/sys/fs/cgroup/" + filepath.Base(folder), "/sys/fs/cgroup/*/" + filepath.Base(folder)} {
		left, err := filepath.Glob(pattern)
		assert.NilError(t, err)
		assert.Equal(t, len(left), 0, "%v", left)
	}
}

// users are the command lines of the machine's processes that name a folder.
func users(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	assert.NilError(t, err)
	var found []string
	for _, file := range files {
		if line, err := os.ReadFile(file); err == nil && bytes.Contains(line, []byte(folder)) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}
