//go:build integration

package integration

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/engine"
	"github.com/homelab-storage/homelab-storage/integration/standin"
)

// The folder that the engine shares with the plugin is not shared any more, as the engine's own race leaves it when it was killed and
// starts the plugin anew: no container starts on the bare folder, on the root disk, and the plugin comes back by itself with one that
// is seen.
func TestNoContainerStartsOnAMountThatTheEngineDoesNotSee(t *testing.T) {
	e := fresh(t, engine.Options{}, "STANDALONE=true")
	name := volume(t, e, "")
	shell(t, e, name, "echo one >/data/one")
	container := background(t, e, name, writer)
	goesOn(t, e, container)

	shared := sharedFolder(t, e)
	for _, arguments := range [][]string{{"--bind", shared, shared}, {"--make-private", shared}} { // what the plugin mounts arrives below it
		_, err := e.Run(t.Context(), "mount", arguments...)
		assert.NilError(t, err)
	}
	before, err := e.PluginPID(t.Context(), driver)
	assert.NilError(t, err)

	said := refused(t, e, "run", "--rm", "--volume", name+":/data", standin.Name, "sh", "-ec", "echo two >/data/two")
	assert.Assert(t, strings.Contains(said, "the Docker engine does not see what the plugin mounts"), said)
	entries, err := os.ReadDir(e.Path(shared))
	assert.NilError(t, err)
	for _, entry := range entries {
		below, err := os.ReadDir(e.Path(shared, entry.Name()))
		assert.NilError(t, err)
		assert.Equal(t, len(below), 0, "something was written below the mount: %v", below)
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for ticker := time.NewTicker(100 * time.Millisecond); ; {
		if pid, err := e.PluginPID(ctx, driver); err == nil && pid != before {
			break
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatal("the plugin was not started again")
		}
	}
	assert.Equal(t, shell(t, e, name, "cat /data/one"), "one")
	goesOn(t, e, container)
	ok(t, e, "stop", container)
	intact(t, e, container, name)
}

// sharedFolder is the folder of the host that the engine shares with the plugin.
func sharedFolder(t *testing.T, e *engine.Engine) string {
	t.Helper()
	id, err := e.PluginID(t.Context(), driver)
	assert.NilError(t, err)
	return ok(t, e, "info", "--format", "{{.DockerRootDir}}") + "/plugins/" + id + "/propagated-mount"
}

// Files that a container left in the bare folder are not hidden by the next mount: the error says where they are, and when they are moved
// away, as it says, the volume works.
func TestFilesUnderAMountAreToldAndKept(t *testing.T) {
	e := fresh(t, engine.Options{}, "STANDALONE=true")
	name := volume(t, e, "")
	shell(t, e, name, "echo pool >/data/one")
	folder := sharedFolder(t, e) + "/" + name
	assert.NilError(t, os.MkdirAll(e.Path(folder), 0o700))
	assert.NilError(t, os.WriteFile(e.Path(folder, "one"), []byte("root disk\n"), 0o600))

	said := refused(t, e, "run", "--rm", "--volume", name+":/data", standin.Name, "true")
	assert.Assert(t, strings.Contains(said, "the folder "+folder+" under the mount, on this node's root disk, is not empty"), said)
	moved := ok(t, e, "info", "--format", "{{.DockerRootDir}}") + "/found"
	_, err := e.Run(t.Context(), "mv", folder, moved) // as docs/operations.md says
	assert.NilError(t, err)
	assert.Equal(t, shell(t, e, name, "cat /data/one"), "pool")
	found, err := os.ReadFile(e.Path(moved, "one"))
	assert.NilError(t, err)
	assert.Equal(t, string(found), "root disk\n")
}
