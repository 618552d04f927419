//go:build lab && long

package cluster

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
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
	// survived says that the writer does not notice.
	survived bool
	// do does it to the machine that runs the service.
	do func(t *testing.T, n *nodes, s *site)
}

func waysToDie() []kill {
	script := func(script string) func(*testing.T, *nodes, *site) {
		return func(t *testing.T, _ *nodes, s *site) { s.ok(t, script) }
	}
	return []kill{
		{name: "the container", do: script("docker kill " + service("writer"))},
		{name: "the plugin", survived: true, do: script("kill -KILL $(" + pluginPID + ")")},
		{name: "the engine", do: func(t *testing.T, _ *nodes, s *site) { s.killEngine(t) }},
		{name: "the plugin and the engine", do: func(t *testing.T, _ *nodes, s *site) {
			s.ok(t, "kill -KILL $("+pluginPID+")")
			s.killEngine(t)
		}},
		{name: "the node", do: func(t *testing.T, _ *nodes, s *site) { assert.NilError(t, s.node.Kill(t.Context())) }},
		{name: "the task (service update)", do: func(t *testing.T, n *nodes, _ *site) {
			n.sites[0].ok(t, "docker service update --force --detach writer")
		}},
		{name: "the task (node drain)", do: func(t *testing.T, n *nodes, s *site) {
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
	took := map[string][]time.Duration{}
	for number := range *kills {
		way, victim := n.kill(t, random, rows, took)
		times := took[way]
		t.Logf("%-44s %6.1f s", fmt.Sprintf("%d: %s on %s", number+1, way, victim), times[len(times)-1].Seconds())
	}
	n.end(t, rows, n.sites)
	for way, times := range took {
		slices.Sort(times)
		t.Logf("%4d times %-34s to the next row: median %5.1f s, longest %5.1f s", len(times), way, times[len(times)/2].Seconds(), times[len(times)-1].Seconds())
	}
}

// kill does one of the ways to a machine, waits for the next row - of the next writer, when the last one cannot go on - and heals.
func (n *nodes) kill(t *testing.T, random *rand.Rand, rows *ledger, took map[string][]time.Duration) (name, node string) {
	t.Helper()
	ways := waysToDie()
	way, victim := ways[random.IntN(len(ways))], n.running(t)
	pause(t, time.Duration(random.IntN(3000))*time.Millisecond)
	known, began := rows.writers(), time.Now()
	way.do(t, n, victim)
	next := rows.grows(t, "", 1)
	if !way.survived {
		next = rows.succeeds(t, known)
	}
	took[way.name] = append(took[way.name], next.Sub(began))
	heal(t, n.sites...)
	n.sites[0].eventually(t, "for node in node1 node2 node3; do docker node update --availability active $node || exit; done")
	return way.name, victim.node.Name()
}
