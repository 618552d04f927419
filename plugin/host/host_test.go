package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/integration/need"
	"github.com/homelab-storage/homelab-storage/scripts/units"
)

const program = "/usr/local/lib/docker/cli-plugins/docker-homelab"

// machine is a host in a folder, with a systemd that records what it is told.
type machine struct {
	*Host
	told  []string
	codes map[string]int
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{codes: map[string]int{}}
	m.Host = &Host{Root: t.TempDir(), Program: program, Run: func(_ context.Context, name string, arguments ...string) (string, int, error) {
		line := name + " " + strings.Join(arguments, " ")
		m.told = append(m.told, line)
		return "answer to " + arguments[0] + "\n", m.codes[arguments[0]], nil
	}}
	m.put(t, program, "program")
	assert.NilError(t, os.MkdirAll(filepath.Join(m.Root, "run/systemd/system"), 0o755))
	return m
}

func (m *machine) put(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join(m.Root, name)
	assert.NilError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	assert.NilError(t, os.WriteFile(file, []byte(text), 0o755))
}

func (m *machine) has(name string) bool {
	_, err := os.Lstat(filepath.Join(m.Root, name))
	return err == nil
}

// unitText is what a unit's file says.
func unitText(t *testing.T, name string) string {
	t.Helper()
	all := units.All()
	at := slices.IndexFunc(all, func(file units.File) bool { return file.Name == name })
	assert.Assert(t, at >= 0)
	return all[at].Text(program, time.Minute)
}

func TestInstallAndRemove(t *testing.T) {
	m := newMachine(t)
	const file = "/etc/systemd/system/homelab-storage-pools.service"
	for range 2 {
		assert.NilError(t, m.Install(t.Context(), 90*time.Second))
	}
	assert.DeepEqual(t, m.told[:5], []string{
		"systemctl daemon-reload", "systemctl enable homelab-storage-pools.service", "systemctl start --no-block homelab-storage-pools.service",
		"systemctl enable homelab-storage-revive.timer", "systemctl start --no-block homelab-storage-revive.timer",
	})
	text, err := os.ReadFile(filepath.Join(m.Root, file))
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(string(text), "ExecStart=-"+program+" homelab host wait --timeout 1m30s\n"), "%s", text)
	assert.Assert(t, !strings.Contains(string(text), "{{"))
	info, err := os.Stat(filepath.Join(m.Root, file))
	assert.NilError(t, err)
	assert.Equal(t, info.Mode().Perm(), os.FileMode(0o644))
	const addition = "/etc/systemd/system/docker.service.d/homelab-storage.conf"
	has := func(pools, timer string) {
		t.Helper()
		list, err := m.Status(t.Context())
		assert.NilError(t, err)
		assert.DeepEqual(t, list, []Unit{
			{Name: units.Pools, File: pools, Enabled: "answer to is-enabled", Active: "answer to is-active"},
			{Name: units.Revive, File: timer, Enabled: "answer to is-enabled", Active: "answer to is-active"},
		})
	}
	const service = "/etc/systemd/system/homelab-storage-revive.service"
	m.put(t, addition, "[Service]\n")
	has("changed", "installed")
	m.put(t, service, "[Service]\n")
	has("changed", "changed")
	assert.NilError(t, m.Install(t.Context(), 90*time.Second))
	has("installed", "installed")
	m.put(t, file, string(text)+"# mine\n")
	has("changed", "installed")

	m.told = nil
	m.codes["stop"] = 5 // not loaded any more
	removed, err := m.Remove(t.Context())
	assert.NilError(t, err)
	assert.Assert(t, removed && !m.has(file) && !m.has(filepath.Dir(addition)))
	assert.DeepEqual(t, m.told, []string{
		"systemctl disable homelab-storage-revive.timer",
		"systemctl stop homelab-storage-revive.timer", "systemctl reset-failed homelab-storage-revive.timer",
		"systemctl stop homelab-storage-revive.service", "systemctl reset-failed homelab-storage-revive.service",
		"systemctl disable homelab-storage-pools.service", "systemctl daemon-reload",
		"systemctl stop homelab-storage-pools.service", "systemctl reset-failed homelab-storage-pools.service",
	})
	assert.Assert(t, !m.has(service) && m.has("/etc/systemd/system"))
	removed, err = m.Remove(t.Context())
	assert.NilError(t, err)
	assert.Assert(t, !removed)
	has("missing", "missing")

	m.put(t, file, "of a version without the timer")
	m.told = nil
	removed, err = m.Remove(t.Context())
	assert.NilError(t, err)
	assert.Assert(t, removed && !strings.Contains(strings.Join(m.told, "\n"), "timer"), "%v", m.told)

	assert.NilError(t, m.Install(t.Context(), time.Minute))
	m.put(t, filepath.Join(filepath.Dir(addition), "mine.conf"), "")
	_, err = m.Remove(t.Context())
	assert.NilError(t, err)
	assert.Assert(t, !m.has(addition) && m.has(filepath.Join(filepath.Dir(addition), "mine.conf")))
}

func TestInstallFailures(t *testing.T) {
	m := newMachine(t)
	assert.Error(t, m.Install(t.Context(), 0), "the engine cannot wait for 0s; give a time such as 5m")
	for _, step := range []string{"daemon-reload", "enable", "start"} {
		m.codes = map[string]int{step: 1}
		assert.ErrorContains(t, m.Install(t.Context(), time.Minute), "systemctl "+step)
	}
	for _, step := range []string{"disable", "daemon-reload"} {
		m.codes = nil
		assert.NilError(t, m.Install(t.Context(), time.Minute))
		m.codes = map[string]int{step: 1}
		_, err := m.Remove(t.Context())
		assert.ErrorContains(t, err, "exit code 1: answer to "+step)
	}
	m.Run = func(context.Context, string, ...string) (string, int, error) {
		return "", 0, errors.New("no systemctl")
	}
	_, err := m.Status(t.Context())
	assert.Error(t, err, "asking systemd: no systemctl")
	assert.NilError(t, m.RemoveProgram())
	assert.ErrorContains(t, m.Install(t.Context(), time.Minute), "INSTALL_CLI=true")
	assert.NilError(t, os.RemoveAll(filepath.Join(m.Root, "run")))
	assert.ErrorContains(t, m.Install(t.Context(), time.Minute), "not booted with systemd")
	_, err = m.Status(t.Context())
	assert.ErrorContains(t, err, "not booted with systemd")
}

// What systemd itself says of the unit and of the addition.
func TestUnitIsUnderstoodBySystemd(t *testing.T) {
	need.Programs(t, "scripts/deps lab", "systemd-analyze")
	folder := t.TempDir()
	files := []string{filepath.Join(folder, "docker.service")}
	assert.NilError(t, os.WriteFile(files[0], []byte("[Service]\nExecStart=/bin/true\n"), 0o600))
	for _, unit := range units.All() {
		file := filepath.Join(folder, unit.Name)
		assert.NilError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		assert.NilError(t, os.WriteFile(file, []byte(unit.Text("/bin/true", 5*time.Minute)), 0o600))
		if filepath.Dir(file) == folder {
			files = append(files, file)
		}
	}
	said, err := exec.CommandContext(t.Context(), "systemd-analyze", append([]string{"verify", "--man=no"}, files...)...).CombinedOutput()
	assert.NilError(t, err, "%s", said)
	assert.Equal(t, string(said), "")
}

// systemd starts the engine for whoever connects to its socket.
func TestEngineRuns(t *testing.T) {
	m := newMachine(t)
	runs := func() bool {
		t.Helper()
		found, err := m.EngineRuns(t.Context())
		assert.NilError(t, err)
		return found
	}
	assert.Assert(t, !runs())
	said := "active\n"
	m.Run = func(context.Context, string, ...string) (string, int, error) { return said, 0, nil }
	assert.Assert(t, runs())
	for _, said = range []string{"inactive\n", "failed\n", "activating\n", ""} {
		assert.Assert(t, !runs(), said)
	}
	assert.NilError(t, os.RemoveAll(filepath.Join(m.Root, "run")))
	assert.Assert(t, runs(), "without systemd nobody starts it")
}

func TestPurgeLeavesData(t *testing.T) {
	m := newMachine(t)
	m.put(t, "run/homelab-storage/references/x", "")
	m.put(t, "var/lib/homelab-storage/mirror/x", "")
	m.put(t, "var/lib/homelab-storage/local/catalog/x", "record")
	m.put(t, "var/lib/homelab-storage/local/standalone/radarr/db", "data")
	m.put(t, "etc/homelab-storage/config.yaml", "")
	m.put(t, "var/lib/other", "")
	assert.NilError(t, m.Forget())
	assert.NilError(t, m.Forget(), "again")
	kept, err := m.Purge()
	assert.NilError(t, err)
	assert.Equal(t, kept, "/var/lib/homelab-storage/local")
	assert.Assert(t, m.has("var/lib/homelab-storage/local/standalone/radarr/db") && m.has("var/lib/homelab-storage/local/catalog/x") && m.has("var/lib/other"))
	for _, gone := range []string{"run/homelab-storage", "var/lib/homelab-storage/mirror", "etc/homelab-storage"} {
		assert.Assert(t, !m.has(gone), gone)
	}
	assert.NilError(t, os.RemoveAll(filepath.Join(m.Root, "var/lib/homelab-storage/local/standalone")))
	kept, err = m.Purge()
	assert.NilError(t, err)
	assert.Equal(t, kept, "")
	assert.Assert(t, !m.has("var/lib/homelab-storage"))
	kept, err = m.Purge()
	assert.NilError(t, err)
	assert.Equal(t, kept, "", "again")
}

// A folder with a mount in it is left: what is mounted there may be anything.
func TestNothingIsRemovedBelowAMount(t *testing.T) {
	h := &Host{Root: "/"}
	assert.ErrorContains(t, h.remove("proc"), "/proc is not removed, since something is mounted in it: /proc")
}

func TestBrought(t *testing.T) {
	m := newMachine(t)
	pools, err := m.Brought()
	assert.NilError(t, err)
	assert.Equal(t, len(pools), 0)
	m.put(t, "run/homelab-storage/pools/a.json", `{"mounted":true}`)
	m.put(t, "run/homelab-storage/pools/b.json", `{}`)
	m.put(t, "run/homelab-storage/pools/c.json", `{"target":"iqn.x","portal":"y"}`)
	pools, err = m.Brought()
	assert.NilError(t, err)
	assert.DeepEqual(t, pools, []string{"a", "c"})
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		listening, err := net.Listen("tcp", "127.0.0.1:0")
		assert.NilError(t, err)
		portal := listening.Addr().String()
		m.put(t, "dev/disk/by-uuid/0c5a1f3e-7b9d-4a26-80ff-ee1122334455", "")
		pools := []settings.Pool{
			{Name: "here", Device: "UUID=0C5A1F3E-7B9D-4A26-80FF-EE1122334455"},
			{Name: "here too", Device: "UUID=0C5A1F3E7B9D4A2680FFEE1122334455"},
			{Name: "near", Device: "LABEL=near", ISCSI: &settings.ISCSI{Portal: portal, Target: "iqn.x"}},
			{Name: "own", Standalone: true},
			{Name: "of the host", Path: "/mnt/x"},
		}
		say := func(format string, arguments ...any) { t.Errorf(format, arguments...) }
		assert.NilError(t, m.Wait(t.Context(), pools, say))

		assert.NilError(t, listening.Close())
		pools = append(pools, settings.Pool{Name: "late", Device: "LABEL=late"})
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		var said []string
		err = m.Wait(ctx, pools, func(format string, arguments ...any) { said = append(said, fmt.Sprintf(format, arguments...)) })
		assert.Error(t, err, "not waited for any longer: the iSCSI portal "+portal+" of pool near does not answer; the disk LABEL=late of pool late is not on this node; its containers start when it is there")
		assert.DeepEqual(t, said, []string{"Waiting: the iSCSI portal " + portal + " of pool near does not answer", "Waiting: the disk LABEL=late of pool late is not on this node"})

		time.AfterFunc(200*time.Millisecond, func() {
			m.put(t, "dev/disk/by-label/late", "")
			m.put(t, "dev/disk/by-label/near", "")
		})
		assert.NilError(t, m.Wait(t.Context(), pools, func(string, ...any) {}))
	})
}
