package cli

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

const (
	disabledPlugin = `{"Id":"1","Name":"homelab-storage:latest","Enabled":false,"Config":{"Interface":{"Socket":"homelab-storage.sock"}}}`
	otherPlugin    = `{"Id":"2","Name":"homelab-storage:2","Enabled":false,"Config":{"Interface":{"Socket":"homelab-storage.sock"}}}`
)

// given is a node whose engine has given the plugin up.
func given(t *testing.T) *node {
	t.Helper()
	n := newNode(t)
	n.systemd, n.plugins = "active\n", "["+disabledPlugin+"]"
	n.keep(t, "1", true)
	return n
}

// keep has the engine keep on disk whether a plugin is enabled.
func (n *node) keep(t *testing.T, id string, enabled bool) {
	t.Helper()
	file := filepath.Join(n.data, "plugins", id, "config.json")
	assert.NilError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	assert.NilError(t, os.WriteFile(file, fmt.Appendf(nil, `{"plugin":{"Name":"x","Enabled":%v},"Rootfs":"/x"}`, enabled), 0o600))
}

// revived says what the command said, and whether it enabled the plugin.
func (n *node) revived(t *testing.T) (said string, enabled bool) {
	t.Helper()
	n.told = nil
	_, said = n.on(t, "host revive --wait 20ms")
	return said, len(n.told) == 1 && n.told[0] == "POST /plugins/homelab-storage:latest/enable"
}

// A plugin that dies again and again is looked at by a person, who is told once.
func TestRevive(t *testing.T) {
	n := given(t)
	for range revivals {
		said, enabled := n.revived(t)
		assert.Equal(t, said, "Enabled homelab-storage:latest again, which the engine had given up.\n")
		assert.Assert(t, enabled)
	}
	said, enabled := n.revived(t)
	assert.Equal(t, said, "homelab-storage: homelab-storage:latest does not stay enabled; it was tried 3 times within the last hour, and is tried "+
		"again when that is over. Look for its last words in journalctl --unit docker; at once: docker plugin enable homelab-storage:latest\n")
	assert.Assert(t, !enabled)
	said, enabled = n.revived(t)
	assert.Assert(t, said == "" && !enabled)
}

func TestReviveLeavesAlone(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *node){
		"disabled by somebody":    func(t *testing.T, n *node) { n.keep(t, "1", false) },
		"the engine starts it":    func(_ *testing.T, n *node) { n.plugins = enabledPlugin },
		"the engine does not run": func(_ *testing.T, n *node) { n.systemd = "inactive\n" },
		"none is installed":       func(_ *testing.T, n *node) { n.plugins = "[]" },
		"another one is enabled": func(_ *testing.T, n *node) {
			n.plugins = "[" + otherPlugin + "," + strings.TrimPrefix(enabledPlugin, "[")
		},
		"nobody knows which": func(t *testing.T, n *node) {
			n.plugins = "[" + disabledPlugin + "," + otherPlugin + "]"
			n.keep(t, "2", true)
		},
		"somebody enables it":        func(_ *testing.T, n *node) { n.asked = func() { n.plugins = enabledPlugin } },
		"the engine is being ended":  func(_ *testing.T, n *node) { n.asked = func() { n.systemd = "deactivating\n" } },
		"another command changes it": func(t *testing.T, n *node) { n.atWork(t) },
	} {
		t.Run(name, func(t *testing.T) {
			n := given(t)
			change(t, n)
			said, enabled := n.revived(t)
			assert.Assert(t, said == "" && !enabled && len(n.told) == 0, "%s%v", said, n.told)
		})
	}
}

// Where there is no plugin to enable, it leaves nothing.
func TestReviveLeavesNothing(t *testing.T) {
	n := given(t)
	n.plugins = "[]"
	for _, folder := range []string{n.host().RunFolder(), n.host().StateFolder()} {
		assert.NilError(t, os.RemoveAll(folder))
	}
	said, _ := n.revived(t)
	assert.Equal(t, said, "")
	assert.Assert(t, !n.has("run/homelab-storage") && !n.has("var/lib/homelab-storage"))
}

// atWork has another command change the plugin until the test ends.
func (n *node) atWork(t *testing.T) {
	t.Helper()
	s := &session{options: Options{Host: n.host()}}
	end, err := s.turn(t.Context(), 0)
	assert.NilError(t, err)
	t.Cleanup(end)
}

// A plugin beside one that somebody has disabled is the one to enable.
func TestReviveBesideADisabledOne(t *testing.T) {
	n := given(t)
	n.plugins = "[" + otherPlugin + "," + disabledPlugin + "]"
	n.keep(t, "2", false)
	_, enabled := n.revived(t)
	assert.Assert(t, enabled)
}

// The engine ends a plugin that has not listened in time by its ID, for up to 20 s after it has given it up: it would end a new process.
func TestReviveWaitsForTheEngine(t *testing.T) {
	for name, ends := range map[string]bool{"that ends the process": true, "that cannot end it": false} {
		t.Run(name, func(t *testing.T) {
			n := given(t)
			folder := filepath.Join(n.root, "run/docker/plugins/1")
			assert.NilError(t, os.MkdirAll(folder, 0o755))
			began, looks := time.Now(), 0
			n.asked = func() {
				if looks++; looks == 3 && ends {
					assert.Check(t, os.Remove(folder))
					began = time.Now()
				}
			}
			_, said := n.on(t, "host revive --wait 200ms")
			took := time.Since(began)
			assert.Equal(t, said != "", ends, said)
			assert.Equal(t, len(n.told) > 0, ends, "%v", n.told)
			assert.Assert(t, took >= 200*time.Millisecond && (ends || took >= 2*time.Second), "%s", took)
		})
	}
}

// The engine is not even asked while a plugin answers.
func TestReviveOfOneThatAnswers(t *testing.T) {
	n := given(t)
	asked := false
	n.asked = func() { asked = true }
	s := &session{options: Options{Host: n.host()}}
	s.options.Host.Root = "."
	t.Chdir(n.root) // its path may be too long for a socket's
	const socket = "run/docker/plugins/1/homelab-storage.sock"
	assert.NilError(t, os.MkdirAll(filepath.Dir(socket), 0o755))
	assert.Assert(t, !s.pluginAnswers(t.Context()))
	listening, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	assert.NilError(t, err)
	t.Cleanup(func() { _ = listening.Close() })
	assert.NilError(t, s.revive(t.Context(), time.Second))
	assert.Assert(t, !asked)
}

// A container that could not start without the plugin, and whose policy wants it up, is started with it.
func TestReviveStartsWhatCouldNotStart(t *testing.T) {
	n := given(t)
	n.containers = `[{"Id":"a","Names":["/radarr"]},{"Id":"b","Names":["/sonarr"]},{"Id":"d","Names":["/bazarr"]}]`
	n.inspected = map[string]string{
		"a": `{"Name":"/radarr","State":{"Error":"error looking up volume plugin homelab-storage:latest: plugin homelab-storage:latest found but disabled"},"HostConfig":{"RestartPolicy":{"Name":"always"}}}`,
		"d": `{"Name":"/bazarr","State":{"Error":"error looking up volume plugin homelab-storage:2: plugin homelab-storage:2 found but disabled"},"HostConfig":{"RestartPolicy":{"Name":"always"}}}`,
		"b": `{"Name":"/sonarr","State":{"Error":"error looking up volume plugin other:latest: not found"},"HostConfig":{"RestartPolicy":{"Name":"always"}}}`,
	}
	_, said := n.on(t, "host revive --wait 20ms")
	assert.Equal(t, said, "Enabled homelab-storage:latest again, which the engine had given up.\nStarted radarr, which could not start without the plugin.\n")
	assert.DeepEqual(t, n.told, []string{"POST /plugins/homelab-storage:latest/enable", "POST /containers/a/start"})
}

func TestReviveFailures(t *testing.T) {
	n := given(t)
	_, said := n.on(t, "host revive --wait 0s")
	assert.Equal(t, said, "homelab-storage: --wait 0s is too short; leave it out, or write a time such as 3s\n")
	assert.NilError(t, os.WriteFile(filepath.Join(n.data, "plugins/1/config.json"), []byte("{"), 0o600))
	_, said = n.on(t, "host revive")
	assert.Assert(t, strings.Contains(said, "reading whether somebody disabled homelab-storage:latest"), said)
	n.keep(t, "1", true)
	tallied := filepath.Join(n.root, "run/homelab-storage", reviveTally)
	assert.NilError(t, os.Mkdir(tallied, 0o700))
	said, enabled := n.revived(t)
	assert.Assert(t, strings.Contains(said, "homelab-storage:latest is not enabled, since how often that was done cannot be recorded") && !enabled, said)
}

// Who upgrades or removes the plugin has it for himself.
func TestOneCommandAtATime(t *testing.T) {
	n := given(t)
	n.atWork(t)
	s := &session{options: Options{Host: n.host()}}
	_, err := s.turn(t.Context(), time.Millisecond)
	assert.ErrorIs(t, err, errNotOurTurn)
}

// A run folder that is full keeps nobody from mending the node; what nobody asked for is not done without a turn.
func TestNoTurns(t *testing.T) {
	n := given(t)
	assert.NilError(t, os.Mkdir(filepath.Join(n.root, "run/homelab-storage", turnLock), 0o700))
	said, enabled := n.revived(t)
	assert.Assert(t, strings.HasPrefix(said, "homelab-storage: lock ") && !enabled, said)
	n, _ = upgradable(t)
	assert.NilError(t, os.RemoveAll(n.host().RunFolder()))
	assert.NilError(t, os.WriteFile(n.host().RunFolder(), nil, 0o600))
	_, said = n.on(t, "upgrade /no-such-folder")
	assert.Assert(t, strings.Contains(said, "nothing was changed"), said)
}
