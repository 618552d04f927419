//go:build integration

package integration

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/engine"
	"github.com/homelab-storage/homelab-storage/integration/standin"
)

// committed is the number of the last row that a writer has told of.
func committed(t *testing.T, e *engine.Engine, container string) int {
	t.Helper()
	text := ok(t, e, "logs", "--tail", "1", container)
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// goesOn waits until a writer has committed some more rows.
func goesOn(t *testing.T, e *engine.Engine, container string) {
	t.Helper()
	target := committed(t, e, container) + 5
	eventually(t, func() error {
		if n := committed(t, e, container); n < target {
			return fmt.Errorf("%d rows committed, waiting for %d: %s", n, target, ok(t, e, "logs", "--tail", "3", container))
		}
		return nil
	})
}

// intact stops a writer and holds what it told against what the database has.
func intact(t *testing.T, e *engine.Engine, container, volume string) {
	t.Helper()
	ok(t, e, "rm", "--force", container)
	unmounted(t, e, volume)
	assert.Equal(t, shell(t, e, volume, "sqlite3 /data/app.db 'pragma integrity_check'"), "ok")
}

func TestAKilledPluginDisturbsNoWriter(t *testing.T) {
	e := fresh(t, engine.Options{}, "STANDALONE=true")
	name := volume(t, e, "")
	container := background(t, e, name, writer)
	goesOn(t, e, container)
	for range 2 {
		_, err := e.KillPlugin(t.Context(), driver)
		assert.NilError(t, err)
		goesOn(t, e, container)
		<-time.After(engine.Settling)
	}
	assert.NilError(t, running(t, e, container))
	assert.Equal(t, len(mountpoints(t, e, name)), 1)
	ok(t, e, "stop", container)
	told := committed(t, e, container)
	unmounted(t, e, name)
	found, err := strconv.Atoi(shell(t, e, name, rows))
	assert.NilError(t, err)
	// The last row may be in the database before its number is in the log, and never the other way round.
	assert.Assert(t, found >= told && found <= told+1, "%d rows committed, %d found", told, found)
	intact(t, e, container, name)
}

// A network-level failure of Get is safe, an error answer would make the engine forget the volume (FACTS 1).
func TestAVolumeIsStillKnownAfterThePluginWasKilled(t *testing.T) {
	e := fresh(t, engine.Options{}, "STANDALONE=true")
	name := volume(t, e, "")
	pid, err := e.PluginPID(t.Context(), driver)
	assert.NilError(t, err)
	assert.NilError(t, e.Signal(t.Context(), pid, syscall.SIGKILL))
	ok(t, e, "volume", "inspect", name) // while it is down: the engine tries again
	ok(t, e, "run", "--rm", "--volume", name+":/data", standin.Name, "touch", "/data/file")
	assert.Equal(t, ok(t, e, "volume", "inspect", "--format", "{{.Driver}}", name), driver)
}

func TestDisableForceAndEnable(t *testing.T) {
	e := fresh(t, engine.Options{}, "STANDALONE=true")
	name := volume(t, e, "")
	container := sleeper(t, e, name)
	ok(t, e, "exec", container, "sh", "-c", "echo kept >/data/file")
	assert.Assert(t, strings.Contains(refused(t, e, "plugin", "disable", driver), "in use"))
	ok(t, e, "plugin", "disable", "--force", driver)
	// The engine detaches its own view only: the container keeps the data under its feet.
	assert.Equal(t, ok(t, e, "exec", container, "cat", "/data/file"), "kept")
	ok(t, e, "plugin", "enable", driver)
	assert.Equal(t, ok(t, e, "volume", "inspect", "--format", "{{.Name}}", name), name)
	ok(t, e, "exec", container, "sh", "-c", "echo more >>/data/file")
	ok(t, e, "restart", container) // Unmount with an ID that no mount stands behind, then Mount
	assert.Equal(t, ok(t, e, "exec", container, "cat", "/data/file"), "kept\nmore")
	assert.Equal(t, len(mountpoints(t, e, name)), 1)
	ok(t, e, "rm", "--force", container)
	unmounted(t, e, name)
	ok(t, e, "volume", "rm", name)
}

func TestEngineRestart(t *testing.T) {
	for test, restart := range map[string]func(*testing.T, *engine.Engine){
		"asked":  restarted,
		"killed": killAndBoot,
	} {
		t.Run(test, func(t *testing.T) {
			e := fresh(t, engine.Options{}, "STANDALONE=true")
			name := volume(t, e, "")
			container := background(t, e, name, writer, "--restart", "always")
			goesOn(t, e, container)
			restart(t, e)
			assert.Equal(t, ok(t, e, "plugin", "inspect", "--format", "{{.Enabled}}", driver), "true")
			assert.Equal(t, ok(t, e, "volume", "inspect", "--format", "{{.Driver}}", name), driver)
			eventually(t, func() error { return running(t, e, container) })
			goesOn(t, e, container)
			assert.Equal(t, len(mountpoints(t, e, name)), 1)
			intact(t, e, container, name) // no reference of the engine's former life holds the mount
			ok(t, e, "volume", "rm", name)
		})
	}
}

func restarted(t *testing.T, e *engine.Engine) {
	t.Helper()
	assert.NilError(t, e.Restart(t.Context()))
}

func killAndBoot(t *testing.T, e *engine.Engine) {
	t.Helper()
	assert.NilError(t, e.Kill(t.Context()))
	assert.NilError(t, e.Boot(t.Context()))
}

func TestEngineRestartWithLiveRestore(t *testing.T) {
	for test, restart := range map[string]func(*testing.T, *engine.Engine){
		"asked":  restarted,
		"killed": killAndBoot,
	} {
		t.Run(test, func(t *testing.T) {
			e := fresh(t, engine.Options{LiveRestore: true}, "STANDALONE=true")
			name := volume(t, e, "")
			container := background(t, e, name, writer)
			goesOn(t, e, container)
			restart(t, e)
			assert.NilError(t, running(t, e, container))
			goesOn(t, e, container)
			shell(t, e, name, "true") // one more user comes and goes; the first one's mount stays
			goesOn(t, e, container)
			assert.Equal(t, len(mountpoints(t, e, name)), 1)
			intact(t, e, container, name)
			ok(t, e, "volume", "rm", name)
		})
	}
}

// With live-restore, the engine sends no Unmount for a container that died while it was away (FACTS 1): a plain count would
// hold the mount for ever.
func TestTheReferenceOfAContainerThatDiedUnseenIsReaped(t *testing.T) {
	e := fresh(t, engine.Options{LiveRestore: true}, "STANDALONE=true")
	name := volume(t, e, "")
	container := sleeper(t, e, name)
	pid := ok(t, e, "inspect", "--format", "{{.State.Pid}}", container)
	assert.NilError(t, e.Shutdown(t.Context()))
	_, err := e.Run(t.Context(), "kill", "-9", pid)
	assert.NilError(t, err)
	assert.NilError(t, e.Boot(t.Context()))
	eventually(t, func() error {
		if running(t, e, container) == nil {
			return fmt.Errorf("the engine takes %s for running", container)
		}
		return nil
	})
	shell(t, e, name, "echo x >/data/file") // the next use and its end leave no mount behind
	unmounted(t, e, name)
	ok(t, e, "rm", "--force", container)
	ok(t, e, "volume", "rm", name)
}
