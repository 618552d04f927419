//go:build lab && long

package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/lab"
)

const (
	// defaultThreshold is o2cb's own: 60 s until a node is declared dead.
	defaultThreshold = 31
	// late is how much later than the nodes the NAS comes up.
	late = 4 * time.Minute
	// stallLimit is how long a planned reboot may keep the other nodes waiting.
	stallLimit = 5 * time.Second
)

// TestDefaultHeartbeat is the failover of TestNodes with the heartbeat as o2cb has it.
func TestDefaultHeartbeat(t *testing.T) {
	n := &nodes{newSites(t, lab.Options{Nodes: 3, LUNs: []lab.LUN{lab.MediaApps}}, defaultThreshold)}
	rows := follow(t, n.sites)
	n.serve(t, rows)
	n.failover(t, rows)
}

// TestSystemdNodes is three machines as users have them, each with a database of its own.
func TestSystemdNodes(t *testing.T) {
	n := &nodes{newSites(t, lab.Options{Nodes: 3, Systemd: true, LUNs: []lab.LUN{lab.MediaApps}}, threshold)}
	rows := follow(t, n.sites)
	each(t, n.sites, func(s *site) error {
		_, err := s.node.Output(t.Context(), bootsByItself)
		return err
	})
	n.impatient().ok(t, "docker homelab host install --wait 30s")
	for _, s := range n.sites {
		s.eventually(t, created(s.own(), "db"))
		s.ok(t, lasting(writer(s.own())))
		rows.grows(t, s.node.Name(), 3)
	}
	t.Run("engine killed", func(t *testing.T) { n.sites[2].losesEngine(t, rows) })
	t.Run("engine stopped", func(t *testing.T) { n.stopsEngine(t, rows) })
	t.Run("reboot", func(t *testing.T) { n.reboots(t, rows) })
	t.Run("power cut in an upgrade", func(t *testing.T) { n.sites[1].losesPowerInUpgrade(t, rows) })
	t.Run("late NAS", func(t *testing.T) { n.wakesLate(t, rows) })
	var databases []string
	for _, s := range n.sites {
		s.ok(t, "docker rm --force writer")
		databases = append(databases, s.own())
	}
	rows.checkAll(t, n.sites[0], databases)
}

// impatient is the machine whose engine does not wait for the NAS.
func (n *nodes) impatient() *site { return n.sites[2] }

// own is the volume of a machine's own database.
func (s *site) own() string { return "of-" + s.node.Name() }

// losesEngine kills the engine while it starts the plugin again, at one moment after another. systemd starts it, and nobody helps.
func (s *site) losesEngine(t *testing.T, rows *ledger) {
	for turn := range 8 {
		// Without the first command the fourth start within a minute would be refused.
		s.ok(t, fmt.Sprintf("systemctl reset-failed docker.service && kill -KILL $(pidof homelab-storage) && sleep 0.%d && kill -KILL $(pidof dockerd)", turn+1))
		measure(t, "the plugin answers", func() { s.eventually(t, "pidof dockerd && docker homelab status") })
		rows.grows(t, s.node.Name(), 3)
	}
	s.ok(t, "! journalctl --unit docker.service | grep 'panic: '")
	t.Logf("measured: shims that ran nothing: %s", s.ok(t, "journalctl --unit containerd.service | grep --count 'shim disconnected' || true"))
}

// reboots has one machine reboot in order, while the others look at what it has open, and write themselves. When it is down its volume is
// nobody's any more: no other node has to find out first that it is gone.
func (n *nodes) reboots(t *testing.T, rows *ledger) {
	leaves, stay := n.sites[0], n.sites[1:]
	var probers []*prober
	for _, s := range stay {
		probers = append(probers, ask(t, s, fmt.Sprintf("stat %[1]s/%[2]s/rows.db-wal && echo >%[1]s/beat-%[3]s && sync %[1]s/beat-%[3]s",
			poolPath, leaves.own(), s.node.Name())))
	}
	pause(t, 10*time.Second)
	assert.Equal(t, stay[0].ok(t, recorded(leaves.node.Name())), leaves.own())
	measure(t, "reboot", func() {
		assert.NilError(t, leaves.node.ShutDown(t.Context()))
		assert.Equal(t, stay[0].ok(t, recorded(leaves.node.Name())), "", "holds of a machine that has shut down")
		assert.NilError(t, leaves.node.Boot(t.Context()))
	})
	measure(t, "from the agent's answer to the next row", func() { rows.grows(t, leaves.node.Name(), 3) })
	for i, s := range stay {
		from, until := probers[i].stall()
		t.Logf("measured: the longest stall on %s was %.1f s", s.node.Name(), until.Sub(from).Seconds())
		assert.Check(t, until.Sub(from) < stallLimit, "%s was kept waiting for %s", s.node.Name(), until.Sub(from))
	}
	journal := leaves.ok(t, "journalctl --boot=-1 --output=short-monotonic --no-pager")
	assert.Assert(t, !strings.Contains(journal, "fencing"), "%s", tail(journal))
}

// disabledByUpgrade begins an upgrade to the version that is there, and stops it when the plugin is disabled, on the disk as well: an
// engine whose power is cut at once has forgotten that it disabled the plugin, or that its container had been started.
const disabledByUpgrade = `docker homelab upgrade "$(docker plugin inspect --format '{{.PluginReference}}' homelab-storage)" >/root/said 2>&1 &
until grep --quiet ^Disabled /root/said; do kill -0 $! || { cat /root/said; exit 1; }; sleep 0.02; done
kill -STOP $! && sync`

// losesPowerInUpgrade cuts the power when an upgrade has disabled the plugin. Nobody helps.
func (s *site) losesPowerInUpgrade(t *testing.T, rows *ledger) {
	s.ok(t, disabledByUpgrade)
	assert.NilError(t, s.node.Kill(t.Context()))
	assert.NilError(t, s.node.Boot(t.Context()))
	measure(t, "from the agent's answer to the next row", func() { rows.grows(t, s.node.Name(), 3) })
	const said = "Enabled homelab-storage:latest again, which an upgrade had left disabled. Repeat it if docker homelab status does not show the new version.\n" +
		"Started writer, which could not start without the plugin."
	s.eventually(t, "[ \"$(journalctl --unit homelab-storage-revive.service --output cat --boot)\" = '"+said+"' ]")
	s.ok(t, "! test -e /var/lib/homelab-storage/upgrade.json")
}

// wakesLate cuts everybody's power, and gives the NAS's back minutes after the nodes'. Nobody helps: not where the engine waits for it, and
// not where it has started without, and its container could not.
func (n *nodes) wakesLate(t *testing.T, rows *ledger) {
	nas := n.sites[0].lab.NAS()
	for _, s := range n.sites {
		s.ok(t, "sync") // else an engine may have forgotten that its container had been started
	}
	each(t, n.sites, func(s *site) error { return s.node.Kill(t.Context()) })
	assert.NilError(t, nas.ISCSI.Stop(t.Context()))
	assert.NilError(t, nas.SMB.Stop(t.Context()))
	began := time.Now()
	each(t, n.sites, func(s *site) error { return s.node.Boot(t.Context()) })
	pause(t, time.Until(began.Add(late)))
	for _, s := range n.sites {
		unit, engine := "activating", "inactive" // it waits for the disks
		if s == n.impatient() {
			unit, engine = "active", "active"
		}
		assert.Equal(t, s.ok(t, "systemctl is-active homelab-storage-pools.service docker.service || true"), unit+"\n"+engine, s.node.Name())
	}
	has(t, n.impatient().ok(t, "docker inspect --format '{{.State.Running}} {{.State.Error}}' writer"), "false ", n.impatient().own(), "media-apps")
	assert.NilError(t, nas.ISCSI.Start(t.Context()))
	assert.NilError(t, nas.SMB.Start(t.Context()))
	for _, s := range n.sites {
		measure(t, "a row of "+s.node.Name(), func() { rows.grows(t, s.node.Name(), 3) })
	}
}
