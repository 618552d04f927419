//go:build lab && long

package cluster

import (
	"strings"
	"testing"

	"github.com/homelab-storage/homelab-storage/integration/lab"
)

// TestLong is what takes long on three machines, or changes what the other tests stand on.
func TestLong(t *testing.T) {
	n := &nodes{newSites(t, lab.Options{Nodes: 3, LUNs: []lab.LUN{lab.MediaApps, lab.AppData}}, quickThreshold)}
	t.Run("two writers", n.testTwoWriters)
	t.Run("hand-overs", n.testHandOvers)
	t.Run("shared until a database", n.testUntilDatabase)
	t.Run("drain beside others", n.testDrain)
	t.Run("holder break", n.testBreak)
	t.Run("rolled back", n.testRolledBack)
	t.Run("disagreement", n.testDisagreement)
	t.Run("formatted with its UUID", n.testFormattedSame)
	t.Run("formatted with another UUID", n.testFormattedAnew)
}

// testDrain checks the pool on one node while another one writes to it, and has a repair refused meanwhile.
func (n *nodes) testDrain(t *testing.T) {
	rows := follow(t, n.sites)
	one, two := n.sites[0], n.sites[1]
	two.eventually(t, created("drained", "db"))
	two.ok(t, writer("drained"))
	rows.grows(t, two.node.Name(), 3)
	one.ok(t, "docker volume create --driver homelab-storage --opt class=config mine")
	one.ok(t, strings.Replace(run("mine"), "docker run --rm", "docker run --detach --name reader --restart always", 1)+" sleep infinity")
	said, _ := one.refused(t, "docker homelab drain media-apps --stop --repair")
	has(t, said, "is not repaired while other nodes have it mounted: ", two.node.Name())
	measure(t, "drain beside a writer", func() { said = one.ok(t, "docker homelab drain media-apps --stop") })
	has(t, said, "Stopped reader, which had mine.", "Other nodes have pool media-apps mounted: node2, node3.",
		"Pool media-apps is unmounted.", "Pool media-apps is mounted and well.", "Started reader.")
	rows.grows(t, two.node.Name(), 3)
	two.ok(t, "docker rm --force writer")
	one.ok(t, "docker rm --force reader")
	rows.check(t, one, "drained")
	one.eventually(t, removed("drained"))
	one.eventually(t, removed("mine"))
}

// testBreak takes a volume away from a node that lives: it says what uses it, also when the operator insists, and takes it back afterwards,
// as it does when it cannot speak.
func (n *nodes) testBreak(t *testing.T) {
	heal(t, n.sites...)
	one, two := n.sites[0], n.sites[1]
	two.eventually(t, created("broken", "db"))
	two.ok(t, strings.Replace(run("broken"), "docker run --rm", "docker run --detach --name keeper", 1)+" sleep infinity")
	said, _ := one.refused(t, "docker homelab holder break broken node2")
	has(t, said, "the node may still write to the directory", "the volume broken is used by the containers to stop there: keeper")
	said = one.ok(t, "docker homelab holder break --force broken node2")
	has(t, said, "Node node2 no longer has the volume broken.", "the volume broken is used by the containers to stop there: keeper")
	one.eventually(t, held("broken")+" | grep node2") // nobody else had it
	two.ok(t, "kill -STOP $("+pluginPID+")")
	said, _ = one.refused(t, "docker homelab holder break broken node2")
	has(t, said, "the plugin of that node does not answer")
	has(t, one.ok(t, "docker homelab holder break --force broken node2"), "docker ps --filter volume=broken")
	one.ok(t, "! { "+held("broken")+"; }")
	two.ok(t, "kill -CONT $("+pluginPID+")")
	one.eventually(t, held("broken")+" | grep node2")
	two.ok(t, "docker rm --force keeper")
	one.eventually(t, removed("broken"))
}
