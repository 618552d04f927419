//go:build lab

package cluster

import (
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// operated is the volume under the operator's commands.
const operated = "operated"

// testOperations does what an operator does to a node whose containers are at work: a check of its pool, an upgrade, a reboot, and
// in the end the uninstallation. No row that was acknowledged may be missing then.
func (s *site) testOperations(t *testing.T) {
	rows := follow(t, []*site{s})
	s.eventually(t, created(operated, "db"))
	s.ok(t, lasting(writer(operated)))
	rows.grows(t, "", 3)
	t.Run("unmounted by hand", func(t *testing.T) { s.unmounted(t, rows) })
	t.Run("drain", func(t *testing.T) { s.drains(t, rows) })
	t.Run("upgrade", func(t *testing.T) { s.upgrades(t, rows) })
	t.Run("reboot", func(t *testing.T) { s.rebootsInOrder(t, rows) })
	t.Run("given up", func(t *testing.T) { s.revives(t, rows) })
	t.Run("host remove", func(t *testing.T) { s.removesUnits(t, rows) })
	t.Run("uninstall", func(t *testing.T) { s.uninstalls(t, rows) })
}

// lasting is a writer that the engine starts again, and does not wait for when it ends itself: sh hears no SIGTERM, for which a container
// is given 10 s, and the engine 15 s for everything.
func lasting(writer string) string {
	return strings.Replace(writer, "--detach", "--detach --restart always --stop-timeout 2", 1)
}

// unmounted takes the pool's path away under a container, whose volume keeps the file system: the next Mount has the path back, and the
// heartbeat is referred to as often as before. One reference more would keep it for ever, and the drain that follows would fail.
func (s *site) unmounted(t *testing.T, rows *ledger) {
	references := "ocfs2_hb_ctl -I -d " + strings.TrimSpace(s.ok(t, "findmnt --noheadings --output SOURCE "+poolPath))
	before := s.ok(t, references)
	has(t, before, "refs")
	s.ok(t, "umount "+poolPath+" && ! mountpoint --quiet "+poolPath)
	s.eventually(t, created("beside", "db"))
	s.ok(t, run("beside")+" true && mountpoint --quiet "+poolPath)
	assert.Equal(t, s.ok(t, references), before)
	rows.grows(t, "", 3)
	s.eventually(t, removed("beside"))
}

// drains has the pool turn read-only under a container that writes and one that only has it open.
func (s *site) drains(t *testing.T, rows *ledger) {
	s.ok(t, strings.Replace(run(operated), "docker run --rm", "docker run --detach --stop-timeout 2 --name reader", 1)+" sleep infinity")
	assert.NilError(t, s.node.TurnReadOnly(t.Context(), poolPath))
	said, _ := s.refused(t, "docker homelab drain media-apps")
	has(t, said, "pool media-apps is in use on this node. Stop these containers")
	has(t, said, "reader (image ")
	measure(t, "drain, to be held", func() { said = s.ok(t, "docker homelab drain media-apps --stop --hold") })
	has(t, said, "Stopped reader, which had "+operated+".", "Pool media-apps is unmounted.")
	said, _ = s.refused(t, run(operated)+" true")
	has(t, said, "it is drained on this node since")
	// A plugin that was killed has forgotten nothing, and mounts nothing.
	s.ok(t, "! mountpoint --quiet "+poolPath)
	assert.NilError(t, s.node.KillPlugin(t.Context()))
	s.eventually(t, "docker homelab status | grep --quiet 'it is drained'")
	s.ok(t, "! mountpoint --quiet "+poolPath)
	measure(t, "drain, to its end", func() { said = s.ok(t, "docker homelab drain media-apps") })
	has(t, said, "fsck.ocfs2 -fn /dev/sd", "Pool media-apps is mounted and well.", "Started reader.")
	s.ok(t, "findmnt --noheadings --output FS-OPTIONS "+poolPath+" | grep '^rw' && docker rm --force reader")
	rows.grows(t, "", 3)
}

// has says that a text has all of some parts.
func has(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		assert.Assert(t, strings.Contains(text, part), "%q is missing in:\n%s", part, text)
	}
}

// upgrades replaces the plugin under the running writer, by itself: what matters is the way.
func (s *site) upgrades(t *testing.T, rows *ledger) {
	plugin, err := build()
	assert.NilError(t, err)
	for _, file := range []string{"config.json", "rootfs/homelab-storage"} {
		assert.NilError(t, s.node.Copy(t.Context(), filepath.Join(plugin, file), "/root/plugin/"+file, 0o755))
	}
	const started = "docker inspect --format '{{.State.StartedAt}}' writer"
	before, settings := s.ok(t, started), s.ok(t, "docker plugin inspect --format '{{.Settings.Env}}' homelab-storage")
	said, _ := s.refused(t, "docker homelab upgrade /root/none")
	has(t, said, "nothing was changed")
	measure(t, "upgrade", func() { said = s.ok(t, "docker homelab upgrade /root/plugin && rm -r /root/plugin") })
	has(t, said, "1 volume in use")
	rows.grows(t, "", 3)
	assert.Equal(t, s.ok(t, started), before, "the writer ran on")
	assert.Equal(t, s.ok(t, "docker plugin inspect --format '{{.Settings.Env}}' homelab-storage"), settings)
	s.ok(t, "docker restart --time 2 writer")
	rows.grows(t, "", 3)
}

// bootsByItself makes a machine one that is complete after a boot: with our unit, and the cluster brought up as on a Debian host, by
// o2cb's own script.
const bootsByItself = `docker homelab host install && systemd-analyze verify /etc/systemd/system/homelab-storage-pools.service
printf 'O2CB_ENABLED=true\nO2CB_BOOTCLUSTER=lab\nO2CB_HEARTBEAT_THRESHOLD=61\nO2CB_IDLE_TIMEOUT_MS=5000\nO2CB_KEEPALIVE_DELAY_MS=1000\n' >/etc/default/o2cb
mkdir -p /var/log/journal && journalctl --flush && sync`

// rebootsInOrder reboots under load; nobody helps. The hold of the volume was given back before the node went down: its record is a new one
// after the boot, and no release was left to do. (What another node sees meanwhile is in TestSystemdNodes.)
func (s *site) rebootsInOrder(t *testing.T, rows *ledger) {
	s.ok(t, bootsByItself)
	measure(t, "reboot", func() { assert.NilError(t, s.node.Reboot(t.Context())) })
	measure(t, "from the agent's answer to the next row", func() { rows.grows(t, "", 3) })
	journal := s.ok(t, "journalctl --boot=-1 --output=short-monotonic --no-pager")
	const network = "Stopped target network-online.target"
	inOrder(t, journal, "Stopped docker.service", "Stopped homelab-storage-pools.service", "Stopped o2cb.service", network)
	inOrder(t, journal, "ocfs2: Unmounting device", "Stopped homelab-storage-pools.service", "Stopped iscsid.service", network)
	inOrder(t, journal, "Stopped docker.service", `mnt-iscsi-media\x2dapps.mount: Deactivated successfully`) // systemd does not come before us
	assert.Assert(t, !strings.Contains(journal, "fencing"), "%s", tail(journal))
	assert.Equal(t, s.ok(t, "systemctl is-active homelab-storage-pools.service"), "active")
	s.ok(t, installed)
	s.ok(t, "cd "+poolPath+"/.homelab-storage/holders && grep '^  \"generation\": 1,$' $(grep --recursive --files-with-matches '\"subdir\": \""+operated+"\"' .)")
	s.ok(t, "! journalctl --boot --no-pager | grep 'a pending release was done'")
}

// installed says that no unit is missing or changed.
const installed = "! docker homelab host status | grep --invert-match installed | grep homelab"

// givenUp kills every process of the plugin until the engine has disabled it, before anybody enables it again.
const givenUp = `timer=homelab-storage-revive.timer; systemctl stop $timer ${timer%timer}service
for try in $(seq 30); do
	for kill in $(seq 20); do kill -9 $(pidof homelab-storage) 2>/dev/null; sleep 0.05; done
	[ "$(docker plugin inspect --format '{{.Enabled}}' homelab-storage)" = true ] || { systemctl start $timer; exit 0; }
done; exit 1`

// revives has the engine give the plugin up, under the writer. The timer that was installed before the reboot has it enabled; nobody helps.
func (s *site) revives(t *testing.T, rows *ledger) {
	s.ok(t, givenUp)
	rows.grows(t, "", 3)
	measure(t, "given up, to enabled again", func() {
		s.eventually(t, "docker plugin inspect --format '{{.Enabled}}' homelab-storage | grep true && docker homelab status")
	})
	s.ok(t, "docker restart --time 2 writer")
	rows.grows(t, "", 3)
	const said = "Enabled homelab-storage:latest again, which the engine had given up."
	s.eventually(t, "[ \"$(journalctl --unit homelab-storage-revive.service --output cat --boot)\" = '"+said+"' ]") // and no word of the looks before
}

// removesUnits takes the units away, beside the writer, and puts them back.
func (s *site) removesUnits(t *testing.T, rows *ledger) {
	for _, there := range units {
		s.ok(t, there)
	}
	has(t, s.ok(t, "docker homelab host remove"), "Removed. Nothing looks after the pools at boot and shutdown any more")
	for _, left := range units {
		assert.Equal(t, s.ok(t, "{ "+left+"; } || true"), "", left)
	}
	s.ok(t, "mountpoint --quiet "+poolPath)
	rows.grows(t, "", 3)
	s.ok(t, "docker homelab host install")
	s.ok(t, installed)
	s.eventually(t, "systemctl is-enabled "+enabled+" && systemctl is-active "+enabled)
}

// enabled are the units that systemd has to start.
const enabled = "homelab-storage-pools.service homelab-storage-revive.timer"

// units are the commands that show something as long as systemd has something of the product.
var units = []string{
	"find /etc/systemd/system /run/systemd -name '*homelab*' | grep homelab", "systemctl list-unit-files --plain --no-legend | grep homelab",
	"systemctl list-units --all --plain --no-legend | grep homelab", "systemctl show --property DropInPaths --value docker.service | grep homelab",
}

// inOrder finds the last of each line after that of the one before.
func inOrder(t *testing.T, journal string, lines ...string) {
	t.Helper()
	last := -1
	for _, line := range lines {
		at := strings.LastIndex(journal, line)
		assert.Assert(t, at > last, "%q comes too early in the last shutdown, or not at all:\n%s", line, tail(journal))
		last = at
	}
}

// tail is the end of a long text.
func tail(text string) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-150):], "\n")
}

// uninstalls leaves nothing of the product on the node, and every row on the pool.
func (s *site) uninstalls(t *testing.T, rows *ledger) {
	said, _ := s.refused(t, "docker homelab uninstall")
	has(t, said, "containers use volumes of the plugin; stop them first:\n  writer (image ")
	assert.Equal(t, s.ok(t, recorded(s.node.Name())), operated)
	s.ok(t, "docker rm --force $(docker ps --all --quiet)")
	measure(t, "uninstall", func() { said = s.ok(t, "docker homelab uninstall --purge") })
	has(t, said, "Logged out of the iSCSI target")
	s.nothingLeft(t)
	for _, left := range append([]string{
		"docker plugin ls --quiet", "ls -d /run/homelab-storage /var/lib/homelab-storage /etc/homelab-storage /usr/local/lib/docker/cli-plugins/docker-homelab 2>/dev/null",
		"iscsiadm --mode session 2>/dev/null",
		"ls /sys/kernel/config/cluster/lab/heartbeat | grep --invert-match --word-regexp 'dead_threshold\\|mode'", "findmnt --noheadings --types ocfs2",
	}, units...) {
		assert.Equal(t, s.ok(t, "{ "+left+"; } || true"), "", left)
	}
	s.connect(t, "media-apps")
	assert.NilError(t, s.node.MountPool(t.Context(), "media-apps", poolPath))
	assert.Equal(t, s.ok(t, recorded(s.node.Name())), "", "holds that the pool has of this node")
	rows.check(t, s, operated)
	s.disconnect(t, "media-apps", poolPath)
}
