package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/plugin/unfinished"
)

const (
	setPool  = `POST /plugins/homelab-storage:latest/set ["POOL_NAME=media-apps"]`
	setOther = `POST /plugins/homelab-storage:latest/set ["POOL_NAME=of-before"]`
	enable   = "POST /plugins/homelab-storage:latest/enable"
)

// killedUpgrade is a node whose upgrade was killed some time ago, when it had disabled the plugin, or had also installed it anew.
func killedUpgrade(t *testing.T, id string) *node {
	t.Helper()
	n := given(t)
	n.keep(t, "1", false)
	n.record(t, unfinished.Upgrade{Plugin: "homelab-storage:latest", ID: id, Settings: []string{"POOL_NAME=of-before"}, Began: time.Now().Add(-time.Hour)})
	return n
}

func (n *node) record(t *testing.T, upgrade unfinished.Upgrade) {
	t.Helper()
	assert.NilError(t, upgrade.Write(n.host().StateFolder()))
}

// recorded gives the upgrade that is recorded.
func (n *node) recorded(t *testing.T) unfinished.Upgrade {
	t.Helper()
	found, err := unfinished.Read(n.host().StateFolder())
	assert.NilError(t, err)
	return found
}

// A plugin that a killed upgrade had disabled is enabled. One that was installed anew has lost its settings; one that was not may have got
// others since.
func TestReviveAfterAKilledUpgrade(t *testing.T) {
	for id, told := range map[string][]string{"1": {enable}, "0": {setOther, enable}} {
		n := killedUpgrade(t, id)
		said, _ := n.revived(t)
		assert.Equal(t, said, "Enabled homelab-storage:latest again, which an upgrade had left disabled. Repeat it if docker homelab status does not show the new version.\n")
		assert.DeepEqual(t, n.told, told)
	}
}

func TestReviveLeavesAnUpgradeAlone(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *node){
		"that goes on": func(t *testing.T, n *node) { n.atWork(t) },
		"of another plugin": func(t *testing.T, n *node) {
			n.record(t, unfinished.Upgrade{Plugin: "homelab-storage:2"})
		},
		"that the engine may go on with": func(t *testing.T, n *node) {
			n.record(t, unfinished.Upgrade{Plugin: "homelab-storage:latest", Began: time.Now()})
		},
		"that has enabled it":  func(_ *testing.T, n *node) { n.plugins = enabledPlugin },
		"that has removed it":  func(_ *testing.T, n *node) { n.plugins = "[]" },
		"of a stopping engine": func(_ *testing.T, n *node) { n.systemd = "inactive\n" },
	} {
		t.Run(name, func(t *testing.T) {
			n := killedUpgrade(t, "1")
			change(t, n)
			said, _ := n.revived(t)
			assert.Assert(t, said == "" && len(n.told) == 0 && n.recorded(t).Plugin != "", "%s%v", said, n.told)
		})
	}
}

// A record that cannot be read says nothing about a plugin that the engine has given up, and is told of where it might.
func TestReviveWithARecordThatIsNone(t *testing.T) {
	n := killedUpgrade(t, "1")
	assert.NilError(t, os.WriteFile(unfinished.File(n.host().StateFolder()), []byte("{"), 0o600))
	said, enabled := n.revived(t)
	assert.Assert(t, strings.HasPrefix(said, "homelab-storage: reading whether an upgrade was interrupted, in "+n.root) && !enabled, said)
	n.keep(t, "1", true)
	said, enabled = n.revived(t)
	assert.Assert(t, said == "Enabled homelab-storage:latest again, which the engine had given up.\n" && enabled, said)
}

// upgradable is a node whose engine has the plugin's files, and a version beside it.
func upgradable(t *testing.T) (n *node, folder string) {
	t.Helper()
	n, folder = newNode(t), t.TempDir()
	n.inspected = map[string]string{"/plugins/homelab-storage:latest": `{"Id":"1","Name":"homelab-storage:latest","Enabled":true,
		"Config":{"Interface":{"Socket":"homelab-storage.sock"},"Env":[{"Name":"POOL_NAME","Value":""}]},"Settings":{"Env":["POOL_NAME=media-apps"]}}`}
	for _, rootfs := range []string{filepath.Join(n.data, "plugins/1/rootfs"), filepath.Join(folder, "rootfs")} {
		assert.NilError(t, os.MkdirAll(rootfs, 0o755))
		assert.NilError(t, os.WriteFile(filepath.Join(rootfs, "homelab-storage"), nil, 0o755))
	}
	assert.NilError(t, os.WriteFile(filepath.Join(folder, "config.json"), []byte("{}"), 0o644))
	return n, folder
}

// disabled has the engine say that the plugin is disabled.
func (n *node) disabled() {
	n.plugins = "[" + disabledPlugin + "]"
	n.inspected["/plugins/homelab-storage:latest"] = strings.Replace(n.inspected["/plugins/homelab-storage:latest"], `"Enabled":true`, `"Enabled":false`, 1)
}

var anew = []string{"DELETE /plugins/homelab-storage:latest", "POST /plugins/create"}

// The record is there from before the plugin is disabled until one runs. One of before, of a plugin that runs, says nothing.
func TestUpgradeIsRecorded(t *testing.T) {
	n, folder := upgradable(t)
	n.record(t, unfinished.Upgrade{Plugin: "homelab-storage:latest", ID: "0", Settings: []string{"POOL_NAME=of-before"}})
	began := time.Now().Add(-time.Second)
	n.telling = func() {
		record := n.recorded(t)
		assert.Check(t, record.Plugin == "homelab-storage:latest" && record.ID == "1" && !record.Began.Before(began), "%v", record)
		assert.Check(t, len(record.Settings) == 1 && record.Settings[0] == "POOL_NAME=media-apps", "%v", record.Settings)
	}
	code, said := n.on(t, "upgrade "+folder)
	assert.Equal(t, code, 0, said)
	assert.DeepEqual(t, n.told, append(append([]string{"POST /plugins/homelab-storage:latest/disable"}, anew...), setPool, enable))
	assert.Equal(t, n.recorded(t).Plugin, "")
}

// Repeating an upgrade that was killed ends it, with the settings that were lost; when that fails as well, it is still to be ended.
func TestUpgradeAgain(t *testing.T) {
	n, folder := upgradable(t)
	n.disabled()
	before := unfinished.Upgrade{Plugin: "homelab-storage:latest", ID: "0", Settings: []string{"POOL_NAME=of-before"}}
	n.record(t, before)
	_, said := n.on(t, "upgrade /no-such-folder")
	assert.Assert(t, strings.Contains(said, "nothing was changed"), said)
	recorded := n.recorded(t)
	assert.Assert(t, !recorded.Began.IsZero(), "the engine may go on with it as well")
	before.Began = recorded.Began
	assert.DeepEqual(t, recorded, before)
	n.telling = func() {
		if strings.HasSuffix(n.told[len(n.told)-1], "/enable") {
			n.plugins = enabledPlugin
		}
	}
	code, said := n.on(t, "upgrade "+folder)
	assert.Equal(t, code, 0, said)
	assert.DeepEqual(t, n.told, append(append([]string{}, anew...), setOther, enable))
	assert.Equal(t, n.recorded(t).Plugin, "")
}

// A plugin that somebody has disabled stays so when an upgrade of it changes nothing; what fails with nothing running is tried again.
func TestUpgradeThatLeavesNothingRunning(t *testing.T) {
	n, folder := upgradable(t)
	n.disabled()
	_, said := n.on(t, "upgrade /no-such-folder")
	assert.Assert(t, strings.Contains(said, "nothing was changed"), said)
	assert.Equal(t, n.recorded(t).Plugin, "")
	n.fails = map[string]string{"/plugins/homelab-storage:latest/enable": "no runc"}
	_, said = n.on(t, "upgrade "+folder)
	assert.Assert(t, strings.Contains(said, "could not be put back"), said)
	assert.DeepEqual(t, n.recorded(t).Settings, []string{"POOL_NAME=media-apps"})
	_, said = n.on(t, "uninstall")
	assert.Assert(t, strings.Contains(said, "Removed the plugin homelab-storage:latest."), said)
	assert.Equal(t, n.recorded(t).Plugin, "")
}

// An upgrade that cannot be recorded may be what mends the node.
func TestUpgradeWithoutARecord(t *testing.T) {
	n, folder := upgradable(t)
	assert.NilError(t, os.MkdirAll(filepath.Join(unfinished.File(n.host().StateFolder()), "x"), 0o755))
	code, said := n.on(t, "upgrade "+folder)
	assert.Equal(t, code, 0, said)
	assert.Assert(t, strings.HasPrefix(said, "The upgrade is not recorded, and would not be finished if it were interrupted: "), said)
	assert.Assert(t, strings.Contains(said, "Upgraded from 1.0 to 1.0"), said)
}

// What was removed half-way has lost its settings in the engine; it is told how to get them back.
func TestUpgradeThatHasRemovedThePlugin(t *testing.T) {
	n := killedUpgrade(t, "1")
	n.plugins = "[]"
	_, said := n.on(t, "upgrade nas:5000/x:2")
	assert.Equal(t, said, fmt.Sprintf("homelab-storage: %v; an upgrade of homelab-storage:latest has removed the old version and did not come to its end: "+
		"install one under this name, with --disable; docker homelab host revive then gives it the settings that it had, which are in %s, and enables it\n",
		errNoPlugin, unfinished.File(n.host().StateFolder())))
}
