//go:build integration

package integration

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/engine"
	"github.com/homelab-storage/homelab-storage/integration/standin"
)

// enabled says whether the engine has the plugin enabled.
func enabled(t *testing.T, e *engine.Engine) string {
	t.Helper()
	return ok(t, e, "plugin", "inspect", "--format", "{{.Enabled}}", driver)
}

// givenUp kills every process of the plugin until the engine has disabled it.
func givenUp(t *testing.T, e *engine.Engine) {
	t.Helper()
	eventually(t, func() error {
		if enabled(t, e) == "false" {
			return nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if pid, err := e.PluginPID(ctx, driver); err == nil {
			_ = e.Signal(t.Context(), pid, syscall.SIGKILL) // it may be gone
		}
		return errors.New("the engine still looks for the plugin")
	})
}

// revived is what the timer's command says.
func revived(t *testing.T, e *engine.Engine) string {
	t.Helper()
	said, err := command(t, e, "host", "revive")
	assert.NilError(t, err, said)
	return said
}

// A plugin that dies again at the very moment at which the engine has started it anew is disabled for good. The command of the timer
// enables it, under a container that writes on; one that a person has disabled stays disabled.
func TestAPluginThatTheEngineGaveUpIsEnabledAgain(t *testing.T) {
	e := fresh(t, engine.Options{}, "STANDALONE=true")
	name := volume(t, e, "")
	container := background(t, e, name, writer)
	goesOn(t, e, container)
	assert.Equal(t, revived(t, e), "", "it runs")
	late := ok(t, e, "create", "--name", "late", "--restart", "always", "--volume-driver", "homelab-storage", "--volume", name+":/data", standin.Name, "sleep", "infinity")
	givenUp(t, e)
	goesOn(t, e, container)
	refused(t, e, "start", late)
	assert.Equal(t, revived(t, e), "Enabled "+driver+" again, which the engine had given up.\nStarted late, which could not start without the plugin.\n")
	assert.NilError(t, running(t, e, late))
	ok(t, e, "rm", "--force", late)
	assert.Equal(t, enabled(t, e), "true")
	shell(t, e, name, "test -s /data/app.db")
	goesOn(t, e, container)

	ok(t, e, "plugin", "disable", "--force", driver)
	assert.Equal(t, revived(t, e), "", "somebody has disabled it")
	assert.Equal(t, enabled(t, e), "false")
	ok(t, e, "plugin", "enable", driver)
	ok(t, e, "stop", container)
	intact(t, e, container, name)
}
