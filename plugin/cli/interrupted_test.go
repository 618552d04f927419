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
	upgradeRecorded = "var/lib/homelab-storage/" + upgradeFile
	pluginInspected = `{"Id":"1","Name":"homelab-storage:latest","Enabled":true,"Config":{"Interface":{"Socket":"homelab-storage.sock"},
		"Env":[{"Name":"POOL_NAME","Value":""}]},"Settings":{"Env":["POOL_NAME=media-apps"]}}`
)

// interruptedUpgrade is a node whose upgrade was killed when it had disabled the plugin.
func interruptedUpgrade(t *testing.T) *node {
	t.Helper()
	n := given(t)
	n.keep(t, "1", false)
	n.record(t, `{"plugin":"homelab-storage:latest","settings":["POOL_NAME=media-apps"]}`)
	return n
}

func (n *node) record(t *testing.T, text string) {
	t.Helper()
	assert.NilError(t, os.WriteFile(filepath.Join(n.root, upgradeRecorded), []byte(text), 0o600))
}

// A plugin that a killed upgrade had disabled is enabled, with the settings that the engine may have forgotten.
func TestReviveAfterAnInterruptedUpgrade(t *testing.T) {
	n := interruptedUpgrade(t)
	said, _ := n.revived(t)
	assert.Equal(t, said, "Enabled homelab-storage:latest again, whose upgrade was interrupted. Repeat it if docker homelab status does not show the new version.\n")
	assert.DeepEqual(t, n.told, []string{"POST /plugins/homelab-storage:latest/set", "POST /plugins/homelab-storage:latest/enable"})
	assert.Assert(t, !n.has(upgradeRecorded))
	said, enabled := n.revived(t)
	assert.Assert(t, said == "" && !enabled, "now it is somebody's wish")
}

func TestReviveLeavesAnUpgradeAlone(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *node){
		"that goes on":         func(t *testing.T, n *node) { n.atWork(t) },
		"of another plugin":    func(t *testing.T, n *node) { n.record(t, `{"plugin":"homelab-storage:2"}`) },
		"that has enabled it":  func(_ *testing.T, n *node) { n.plugins = enabledPlugin },
		"that has removed it":  func(_ *testing.T, n *node) { n.plugins = "[]" },
		"of a stopping engine": func(_ *testing.T, n *node) { n.systemd = "inactive\n" },
	} {
		t.Run(name, func(t *testing.T) {
			n := interruptedUpgrade(t)
			change(t, n)
			said, _ := n.revived(t)
			assert.Assert(t, said == "" && len(n.told) == 0 && n.has(upgradeRecorded), "%s%v", said, n.told)
		})
	}
	n := interruptedUpgrade(t)
	n.record(t, "{")
	said, enabled := n.revived(t)
	assert.Assert(t, strings.HasPrefix(said, "homelab-storage: reading whether an upgrade was interrupted, in "+n.root) && !enabled, said)
}

// A plugin that answers was enabled by somebody: the upgrade is over, unless its command is at it.
func TestReviveForgetsAnUpgradeThatIsOver(t *testing.T) {
	n := interruptedUpgrade(t)
	s := &session{options: Options{Host: n.host()}}
	s.options.Host.Root = "."
	t.Chdir(n.root) // its path may be too long for a socket's
	const socket = "run/docker/plugins/1/homelab-storage.sock"
	assert.NilError(t, os.MkdirAll(filepath.Dir(socket), 0o755))
	listening, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	assert.NilError(t, err)
	t.Cleanup(func() { _ = listening.Close() })
	end, err := s.turn(t.Context(), 0)
	assert.NilError(t, err)
	assert.NilError(t, s.revive(t.Context(), time.Second))
	assert.Assert(t, n.has(upgradeRecorded))
	end()
	assert.NilError(t, s.revive(t.Context(), time.Second))
	assert.Assert(t, !n.has(upgradeRecorded))
	assert.NilError(t, s.revive(t.Context(), time.Second))
}

// upgradable is a node whose engine has the plugin's files, and a version beside it.
func upgradable(t *testing.T) (n *node, folder string) {
	t.Helper()
	n, folder = newNode(t), t.TempDir()
	n.inspected = map[string]string{"/plugins/homelab-storage:latest": pluginInspected}
	for _, rootfs := range []string{filepath.Join(n.data, "plugins/1/rootfs"), filepath.Join(folder, "rootfs")} {
		assert.NilError(t, os.MkdirAll(rootfs, 0o755))
		assert.NilError(t, os.WriteFile(filepath.Join(rootfs, "homelab-storage"), nil, 0o755))
	}
	assert.NilError(t, os.WriteFile(filepath.Join(folder, "config.json"), []byte("{}"), 0o644))
	return n, folder
}

// The record is there for as long as the plugin may be down, and with the settings that it had before it was interrupted.
func TestUpgradeIsRecorded(t *testing.T) {
	n, folder := upgradable(t)
	n.record(t, `{"plugin":"homelab-storage:latest","settings":["POOL_NAME=of-before"]}`)
	var recorded []string
	n.telling = func() {
		text, err := os.ReadFile(filepath.Join(n.root, upgradeRecorded))
		assert.Check(t, err)
		recorded = append(recorded, string(text))
	}
	code, said := n.on(t, "upgrade "+folder)
	assert.Equal(t, code, 0, said)
	for _, one := range recorded {
		assert.Equal(t, one, `{"plugin":"homelab-storage:latest","settings":["POOL_NAME=of-before"]}`+"\n")
	}
	assert.DeepEqual(t, n.told, []string{
		"POST /plugins/homelab-storage:latest/disable", "DELETE /plugins/homelab-storage:latest", "POST /plugins/create",
		"POST /plugins/homelab-storage:latest/set", "POST /plugins/homelab-storage:latest/enable",
	})
	assert.Equal(t, len(recorded), len(n.told))
	assert.Assert(t, !n.has(upgradeRecorded))

	n.record(t, `{"plugin":"homelab-storage:2"}`)
	_, said = n.on(t, "upgrade /no-such-folder")
	assert.Assert(t, strings.Contains(said, "nothing was changed"), said)
	assert.Assert(t, !n.has(upgradeRecorded))
}

// An upgrade that cannot be recorded may be what mends the node.
func TestUpgradeWithoutARecord(t *testing.T) {
	n, folder := upgradable(t)
	assert.NilError(t, os.MkdirAll(filepath.Join(n.root, upgradeRecorded, "x"), 0o755))
	_, said := n.on(t, "upgrade "+folder)
	assert.Assert(t, strings.HasPrefix(said, "The upgrade is not recorded, and would not be finished if it were interrupted: "), said)
	assert.Assert(t, strings.Contains(said, "Enabled homelab-storage:latest"), said)
}

// What was removed half-way has lost its settings in the engine; they are told.
func TestUpgradeThatHasRemovedThePlugin(t *testing.T) {
	n := interruptedUpgrade(t)
	n.plugins = "[]"
	_, said := n.on(t, "upgrade nas:5000/x:2")
	assert.Equal(t, said, fmt.Sprintf("homelab-storage: %v; an upgrade of homelab-storage:latest was interrupted after it had removed the old version: "+
		"install one under this name, with the settings that it had (POOL_NAME=media-apps), and enable it\n", errNoPlugin))
}
