//go:build integration

package integration

import (
	"fmt"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/engine"
	"github.com/homelab-storage/homelab-storage/integration/standin"
)

// swarm is an engine that is a Swarm of one node. Standalone mode is refused there and this kernel may have no OCFS2, so
// disposable volumes are used; databases in a Swarm are the lab's.
func swarm(t *testing.T, settings ...string) *engine.Engine {
	t.Helper()
	e := fresh(t, engine.Options{}, settings...)
	ok(t, e, "swarm", "init", "--advertise-addr", "lo")
	return e
}

func service(t *testing.T, e *engine.Engine, name, volume string, options []string, command ...string) {
	t.Helper()
	mount := "type=volume,source=" + volume + ",target=/data,volume-driver=" + driver
	for _, option := range options {
		mount += ",volume-opt=" + option
	}
	cleanly(t, e, "service", "rm", name)
	ok(t, e, append([]string{
		"service", "create", "--detach", "--no-resolve-image", "--stop-grace-period", "1s", "--name", name,
		"--restart-delay", "1s", "--mount", mount, standin.Name,
	}, command...)...)
}

// tasks are the states and errors of a service's tasks, newest first.
func tasks(t *testing.T, e *engine.Engine, name string) []string {
	t.Helper()
	return strings.Split(ok(t, e, "service", "ps", "--no-trunc", "--format", "{{.CurrentState}} {{.Error}}", name), "\n")
}

func TestAServiceMakesAndKeepsItsVolume(t *testing.T) {
	e := swarm(t)
	service(t, e, "app", "app-cache", []string{"class=cache"}, "sh", "-c", "echo started >>/data/log; sleep 600")
	isRunning := func(starts int) func() error {
		return func() error {
			if state := tasks(t, e, "app")[0]; !strings.HasPrefix(state, "Running") {
				return fmt.Errorf("the task is %s", state)
			}
			if text := ok(t, e, "run", "--rm", "--volume", "app-cache:/data", standin.Name, "cat", "/data/log"); strings.Count(text, "started") != starts {
				return fmt.Errorf("%q, want %d starts", text, starts)
			}
			return nil
		}
	}
	eventually(t, isRunning(1))
	ok(t, e, "service", "update", "--detach", "--force", "app")
	eventually(t, isRunning(2))
	ok(t, e, "service", "rm", "app")
	unmounted(t, e, "app-cache")
}

// A refusal at Create rejects the task, with our text (FACTS 1).
func TestAServiceIsToldWhyItsVolumeIsRefused(t *testing.T) {
	e := swarm(t)
	service(t, e, "app", "app-db", []string{"class=db", "type=cifs", "device=//nas/share"}, "sleep", "600")
	eventually(t, func() error {
		text := strings.Join(tasks(t, e, "app"), "\n") // the reason has lines of its own
		if strings.Contains(text, "Rejected") && strings.Contains(text, "SQLite on an SMB share") {
			return nil
		}
		return fmt.Errorf("no task was rejected with the reason: %s", text)
	})
}

// Each node of a Swarm would have a pool of its own under the same names (D14).
func TestStandaloneIsRefusedInASwarm(t *testing.T) {
	e := swarm(t, "STANDALONE=true")
	var text string
	eventually(t, func() error { // the plugin asks the engine, which has only just become a member
		out, err := e.Docker(t.Context(), "volume", "create", "--driver", driver, "--opt", "class=db", "one")
		if err == nil {
			ok(t, e, "volume", "rm", "one")
			return fmt.Errorf("created %s", strings.TrimSpace(out))
		}
		text = err.Error()
		return nil
	})
	assert.Assert(t, strings.Contains(text, "STANDALONE") && strings.Contains(text, "Swarm"), text)
}
