//go:build lab && long

package cluster

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/lab"
)

var (
	kills = flag.Int("kills", 200, "how many times TestKills kills something")
	seed  = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the order in which TestKills kills")
)

// kill is something that dies, or is moved, under a service that writes.
type kill struct {
	name string
	// do does it to the machine that runs the service.
	do func(t *testing.T, n *nodes, s *site)
}

func waysToDie() []kill {
	script := func(script string) func(*testing.T, *nodes, *site) {
		return func(t *testing.T, _ *nodes, s *site) { s.ok(t, script) }
	}
	return []kill{
		{"the container", script("docker kill " + service("writer"))},
		{"the plugin", script("kill -KILL $(" + pluginPID + ")")},
		{"the engine", func(t *testing.T, _ *nodes, s *site) { s.killEngine(t) }},
		{"the plugin and the engine", func(t *testing.T, _ *nodes, s *site) {
			s.ok(t, "kill -KILL $("+pluginPID+")")
			s.killEngine(t)
		}},
		{"the node", func(t *testing.T, _ *nodes, s *site) { assert.NilError(t, s.node.Kill(t.Context())) }},
		{"the task (service update)", func(t *testing.T, n *nodes, _ *site) {
			n.sites[0].ok(t, "docker service update --force --detach writer")
		}},
		{"the task (node drain)", func(t *testing.T, n *nodes, s *site) {
			n.sites[0].ok(t, "docker node update --availability drain "+s.node.Name())
		}},
	}
}

// TestKills kills whatever can be killed, at random moments, under a Swarm service that writes a database, and finds every
// acknowledged row. -kills says how often and -seed repeats an order.
func TestKills(t *testing.T) {
	t.Logf("-seed=%d", *seed)
	random := rand.New(rand.NewPCG(*seed, 0))
	n := &nodes{newSites(t, lab.Options{Nodes: 3, LUNs: []lab.LUN{lab.MediaApps}}, quickThreshold)}
	rows := follow(t, n.sites)
	n.serve(t, rows)
	ways := waysToDie()
	for number := range *kills {
		way, victim := ways[random.IntN(len(ways))], n.running(t)
		pause(t, time.Duration(random.IntN(3000))*time.Millisecond)
		began := time.Now()
		way.do(t, n, victim)
		next := rows.grows(t, "", 1)
		t.Logf("%-44s %6.1f s", fmt.Sprintf("%d: %s on %s", number+1, way.name, victim.node.Name()), next.Sub(began).Seconds())
		heal(t, n.sites...)
		n.sites[0].eventually(t, "for node in node1 node2 node3; do docker node update --availability active $node || exit; done")
	}
	n.end(t, rows, n.sites)
}
