//go:build integration

package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/engine"
)

func TestCreateSetEnable(t *testing.T) {
	e := bare(t, engine.Options{})
	ok(t, e, "plugin", "create", driver, pluginFolder(t))
	assert.Assert(t, strings.Contains(refused(t, e, "plugin", "set", driver, "NO_SUCH_SETTING=1"), "NO_SUCH_SETTING"))
	ok(t, e, "plugin", "set", driver, "STANDALONE=true", "NODE_NAME=node-a")
	ok(t, e, "plugin", "enable", driver) // with no pool, no file and no folder prepared (D1)
	settings := ok(t, e, "plugin", "inspect", "--format", "{{join .Settings.Env \"\\n\"}}", driver)
	assert.Assert(t, strings.Contains(settings, "STANDALONE=true") && strings.Contains(settings, "NODE_NAME=node-a"), settings)
	ok(t, e, "plugin", "disable", driver) // without --force, as long as the engine knows no volume
	ok(t, e, "plugin", "enable", driver)
	shell(t, e, volume(t, e, ""), "touch /data/file")
}

// Without a pool and without STANDALONE, a database volume is refused, with both ways out (D14).
func TestWithoutAPoolADatabaseVolumeIsRefused(t *testing.T) {
	e := fresh(t, engine.Options{})
	text := refused(t, e, "volume", "create", "--driver", driver, "--opt", "class=db", "homeless")
	for _, word := range []string{"STANDALONE", "POOL_"} {
		assert.Assert(t, strings.Contains(text, word), "%s is missing in: %s", word, text)
	}
	_, err := os.Stat(e.Path(standalone))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// pushed puts the plugin into a registry of the engine's own.
func pushed(t *testing.T, e *engine.Engine) (image string) {
	t.Helper()
	address, err := e.StartRegistry(t.Context())
	assert.NilError(t, err)
	image = address + "/homelab-storage:1.0.0"
	ok(t, e, "plugin", "create", image, pluginFolder(t))
	ok(t, e, "plugin", "push", image)
	ok(t, e, "plugin", "rm", image)
	return image
}

// As a user does it: push, install under the alias, use, upgrade.
func TestInstallAndUpgradeFromARegistry(t *testing.T) {
	e := bare(t, engine.Options{})
	image := pushed(t, e)

	ok(t, e, "plugin", "install", "--alias", "homelab-storage", "--grant-all-permissions", image, "STANDALONE=true")
	name := volume(t, e, "")
	shell(t, e, name, "echo kept >/data/file")
	container := sleeper(t, e, name)

	ok(t, e, "plugin", "disable", "--force", driver)
	ok(t, e, "plugin", "upgrade", "--skip-remote-check", "--grant-all-permissions", driver, image)
	ok(t, e, "plugin", "enable", driver)
	assert.Equal(t, ok(t, e, "exec", container, "cat", "/data/file"), "kept")
	settings := ok(t, e, "plugin", "inspect", "--format", "{{join .Settings.Env \" \"}}", driver)
	assert.Assert(t, strings.Contains(settings, "STANDALONE=true"), settings)
	ok(t, e, "rm", "--force", container)
	assert.Equal(t, shell(t, e, name, "cat /data/file"), "kept")
	unmounted(t, e, name)
}

// defaultCapabilities are what Docker gives every container and plugin (moby, oci/caps/defaults.go), by their bits
// (capability.h).
const defaultCapabilities = 1<<0 | 1<<1 | 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<10 | 1<<13 | 1<<18 | 1<<27 | 1<<29 | 1<<31

// asked are the bits of what config.json asks for.
var asked = map[string]uint{
	"CAP_SYS_ADMIN": 21, "CAP_SYS_PTRACE": 19, "CAP_SYS_CHROOT": 18, "CAP_IPC_OWNER": 15, "CAP_SYS_NICE": 23, "CAP_SYS_MODULE": 16,
}

func TestThePluginHasExactlyWhatItAsksFor(t *testing.T) {
	var config struct {
		PidHost, IpcHost bool
		Mounts           []any
		Linux            struct {
			Capabilities    []string
			AllowAllDevices bool
		}
	}
	text, err := os.ReadFile("../config.json")
	assert.NilError(t, err)
	assert.NilError(t, json.Unmarshal(text, &config))
	assert.Equal(t, len(config.Mounts), 0) // enabling must never fail for a missing folder (D1)
	want := uint64(defaultCapabilities)
	for _, name := range config.Linux.Capabilities {
		bit, known := asked[name]
		assert.Assert(t, known, "%s is in config.json and not in this test", name)
		want |= 1 << bit
	}

	e := plugged(t)
	pid, err := e.PluginPID(t.Context(), driver)
	assert.NilError(t, err)
	process := e.Path("/proc", strconv.Itoa(pid))
	status, err := os.ReadFile(filepath.Join(process, "status"))
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(string(status), fmt.Sprintf("CapEff:\t%016x\n", want)), "want %016x:\n%s", want, status)
	assert.Assert(t, strings.Contains(string(status), "\nUid:\t0\t"), "%s", status)
	for _, namespace := range []string{"net", "pid", "ipc"} { // D1: the host's
		ours, err := os.Readlink(filepath.Join(process, "ns", namespace))
		assert.NilError(t, err)
		hosts, err := os.Readlink(e.Path("/proc/1/ns", namespace))
		assert.NilError(t, err)
		assert.Equal(t, ours, hosts)
	}
	ours, err := os.Readlink(filepath.Join(process, "ns", "mnt"))
	assert.NilError(t, err)
	hosts, err := os.Readlink(e.Path("/proc/1/ns/mnt"))
	assert.NilError(t, err)
	assert.Assert(t, ours != hosts) // the trap of FACTS 1: its main thread must not have entered the host's
}

// Under a second alias the plugin would share the first one's folders: it ends before it listens, and the first goes on.
func TestASecondPluginOfANodeIsNotEnabled(t *testing.T) {
	e := bare(t, engine.Options{})
	image := pushed(t, e)
	ok(t, e, "plugin", "install", "--alias", "homelab-storage", "--grant-all-permissions", image, "STANDALONE=true")
	name := volume(t, e, "")
	shell(t, e, name, "echo kept >/data/file")
	ok(t, e, "plugin", "install", "--disable", "--alias", "second", "--grant-all-permissions", image, "STANDALONE=true")
	refused(t, e, "plugin", "enable", "second")
	assert.Equal(t, ok(t, e, "plugin", "inspect", "--format", "{{.Enabled}}", "second"), "false")
	assert.Equal(t, shell(t, e, name, "cat /data/file"), "kept")
}

// The last good configuration stays in force; whatever then fails at Create or Mount tells of the broken file (D7).
func TestABrokenConfigurationLosesNoVolume(t *testing.T) {
	e := fresh(t, engine.Options{}, "STANDALONE=true")
	name := volume(t, e, "")
	shell(t, e, name, "touch /data/file")
	ok(t, e, "plugin", "disable", "--force", driver)
	_, err := e.Run(t.Context(), "sh", "-c", "mkdir -p /etc/homelab-storage && echo 'pools: [{naem: x}]' >/etc/homelab-storage/config.yaml")
	assert.NilError(t, err)
	ok(t, e, "plugin", "enable", driver)
	assert.Equal(t, ok(t, e, "volume", "inspect", "--format", "{{.Driver}}", name), driver)
	assert.Assert(t, strings.Contains(ok(t, e, "volume", "ls", "--quiet"), name))
	assert.Equal(t, shell(t, e, name, "ls /data"), "file")
	shell(t, e, volume(t, e, "-another"), "touch /data/file")
	unknownOption := func() string {
		return refused(t, e, "volume", "create", "--driver", driver, "--opt", "no-such-option=1", "another")
	}
	text := unknownOption()
	assert.Assert(t, strings.Contains(text, "config.yaml") && strings.Contains(text, "naem"), text)
	_, err = e.Run(t.Context(), "rm", "/etc/homelab-storage/config.yaml")
	assert.NilError(t, err)
	eventually(t, func() error { // read again without a restart
		if text := unknownOption(); strings.Contains(text, "config.yaml") {
			return errors.New(text)
		}
		return nil
	})
}
