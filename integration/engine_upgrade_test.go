//go:build integration

package integration

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/engine"
)

// command runs the operator's command in the engine's host, as `docker homelab` does.
func command(t *testing.T, e *engine.Engine, arguments ...string) (string, error) {
	t.Helper()
	run := e.Command(t.Context(), filepath.Join(pluginFolder(t), "rootfs", "homelab-storage"), arguments...)
	run.Env = append(os.Environ(), e.Environment()...)
	said, err := run.CombinedOutput()
	return string(said), err
}

// The command upgrades from a registry under a running container; what cannot be had, or does not start, changes nothing.
func TestUpgradeCommand(t *testing.T) {
	e := bare(t, engine.Options{})
	image := pushed(t, e)
	ok(t, e, "plugin", "install", "--alias", "homelab-storage", "--grant-all-permissions", image, "STANDALONE=true")
	name := volume(t, e, "")
	shell(t, e, name, "echo kept >/data/file")
	container := sleeper(t, e, name)
	works := func() {
		t.Helper()
		assert.Equal(t, ok(t, e, "exec", container, "cat", "/data/file"), "kept")
		assert.Equal(t, shell(t, e, name, "cat /data/file"), "kept")
		settings := ok(t, e, "plugin", "inspect", "--format", "{{.Enabled}} {{join .Settings.Env \" \"}}", driver)
		assert.Assert(t, strings.HasPrefix(settings, "true ") && strings.Contains(settings, "STANDALONE=true"), settings)
	}

	said, err := command(t, e, "upgrade", image)
	assert.NilError(t, err, said)
	assert.Assert(t, strings.Contains(said, "1 volume in use"), said)
	works()
	refusedForFiles(t, e, image)
	works()

	said, err = command(t, e, "upgrade", image+"-of-nobody")
	assert.Assert(t, err != nil && strings.Contains(said, "nothing was changed"), said)
	works()

	const inHost = "/tmp/broken"
	broken := e.Path(inHost)
	assert.NilError(t, os.MkdirAll(filepath.Join(broken, "rootfs"), 0o755))
	config, err := os.ReadFile(filepath.Join(pluginFolder(t), "config.json"))
	assert.NilError(t, err)
	assert.NilError(t, os.WriteFile(filepath.Join(broken, "config.json"), config, 0o600))
	assert.NilError(t, os.WriteFile(filepath.Join(broken, "rootfs", "homelab-storage"), []byte("no program"), 0o755))
	said, err = command(t, e, "upgrade", inHost)
	assert.Assert(t, err != nil && strings.Contains(said, "the old version of "+driver+" was put back"), said)
	works()

	ok(t, e, "rm", "--force", container)
	assert.Equal(t, shell(t, e, name, "cat /data/file"), "kept")
	unmounted(t, e, name)
}

// refusedForFiles has files lie in a bare folder beside the mounts: an upgrade would remove them, if only on its way back.
func refusedForFiles(t *testing.T, e *engine.Engine, image string) {
	t.Helper()
	folder := sharedFolder(t, e) + "/written"
	assert.NilError(t, os.MkdirAll(e.Path(folder, "row"), 0o700))
	for _, from := range []string{image, pluginFolder(t)} {
		said, err := command(t, e, "upgrade", from)
		assert.Assert(t, err != nil && strings.Contains(said, "nothing was changed: files would be lost"), said)
		assert.Assert(t, strings.Contains(said, "the folder "+folder+" under the mount") && strings.Count(said, "the folder ") == 1, said)
	}
	assert.NilError(t, os.Remove(e.Path(folder, "row")))
	assert.NilError(t, os.Remove(e.Path(folder)))
}

// killedWhenItHasDisabled runs a command, and kills it as soon as it says that the plugin is disabled.
const killedWhenItHasDisabled = `{ "$0" "$@" & echo $!; wait; } | {
	read -r pid
	while read -r line; do
		echo "$line"
		case $line in Disabled*) kill -KILL "$pid" ;; esac
	done
}`

// An upgrade that is killed when it has disabled the plugin is ended by the timer's command, under a container that writes on.
func TestAnUpgradeThatWasKilledIsEnded(t *testing.T) {
	e := bare(t, engine.Options{})
	image := pushed(t, e)
	ok(t, e, "plugin", "install", "--alias", "homelab-storage", "--grant-all-permissions", image, "STANDALONE=true")
	name := volume(t, e, "")
	container := background(t, e, name, writer)
	goesOn(t, e, container)

	run := e.Command(t.Context(), "sh", "-c", killedWhenItHasDisabled, filepath.Join(pluginFolder(t), "rootfs", "homelab-storage"), "upgrade", image)
	run.Env = append(os.Environ(), e.Environment()...)
	said, err := run.CombinedOutput()
	assert.NilError(t, err, "%s", said)
	assert.Assert(t, strings.HasPrefix(string(said), "Disabled "), "%s", said)
	assert.Equal(t, enabled(t, e), "false")
	const record = "/var/lib/homelab-storage/upgrade.json"
	_, err = e.Run(t.Context(), "test", "-e", record)
	assert.NilError(t, err)
	goesOn(t, e, container)

	eventually(t, func() error { // it is left alone for a while, since the engine may go on with it
		said, err := command(t, e, "host", "revive", "--wait", "200ms")
		if err == nil && !strings.HasPrefix(said, "Enabled "+driver+" again, which an upgrade had left disabled.") {
			err = errors.New(said)
		}
		return err
	})
	assert.Assert(t, strings.Contains(ok(t, e, "plugin", "inspect", "--format", "{{join .Settings.Env \" \"}}", driver), "STANDALONE=true"))
	_, err = e.Run(t.Context(), "test", "!", "-e", record)
	assert.NilError(t, err, "the plugin runs")
	shell(t, e, name, "test -s /data/app.db")
	goesOn(t, e, container)
	ok(t, e, "stop", container)
	intact(t, e, container, name)
}
