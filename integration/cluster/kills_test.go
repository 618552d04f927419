//go:build lab && long

package cluster

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/lab"
)

var (
	kills = flag.Int("kills", 200, "how many times TestKills kills something")
	seed  = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the order in which TestKills kills")
	only  = flag.String("only", "", "a regular expression of what TestKills kills (default: everything)")
	looks = flag.Int("looks", 25, "after how many kills TestKills counts the rows, so that a loss is found near its cause")
)

const (
	// enoughKills is how many kills show every way of dying: two rounds and a half.
	enoughKills = 100
	// dialPause is how often the engine looks whether a plugin that it has started answers, with room for a slow machine. It disables one
	// that dies again before it has found it (docs/facts.md, Crashes): no row is lost by that, but nothing is mounted until a person enables
	// the plugin.
	dialPause = 4 * time.Second
)

// kill is something that dies, or is moved, under a service that writes.
type kill struct {
	name string
	// times is how often it is in a round. A round has 40 kills and 8 moves; from one kill to a healed cluster an emulated machine needs
	// 10 s (plugin), 25 s (container), 45 s (node) or 60 s (engine), so that 200 kills are 5 rounds of 22 minutes.
	times int
	// moves says that neither plugin, engine nor node is killed: it comes on top.
	moves bool
	// plugin says that the plugin dies, and survived that the writer does not notice.
	plugin, survived bool
	// before is done first, so that the writer has written some rows since.
	before func(n *nodes, t *testing.T, s *site)
	// do does it to the machine that runs the service, and undo what is left to do when the next writer has begun.
	do, undo func(t *testing.T, n *nodes, s *site)
}

func waysToDie() []kill {
	script := func(script string) func(*testing.T, *nodes, *site) {
		return func(t *testing.T, _ *nodes, s *site) { s.ok(t, script) }
	}
	available := func(availability string) func(*testing.T, *nodes, *site) {
		return func(t *testing.T, n *nodes, s *site) {
			n.sites[0].eventually(t, "docker node update --availability "+availability+" "+s.node.Name())
		}
	}
	cut := func(t *testing.T, _ *nodes, s *site) { assert.NilError(t, s.node.Kill(t.Context())) }
	return []kill{
		{name: "the plugin", times: 20, plugin: true, survived: true, do: func(t *testing.T, _ *nodes, s *site) {
			assert.NilError(t, s.node.KillPlugin(t.Context()))
		}},
		{name: "the engine", times: 5, do: func(t *testing.T, _ *nodes, s *site) { s.killEngine(t) }},
		{name: "the plugin and the engine", times: 6, plugin: true, do: func(t *testing.T, _ *nodes, s *site) {
			assert.NilError(t, s.node.KillPlugin(t.Context()))
			s.killEngine(t)
		}},
		{name: "the node", times: 4, do: cut},
		{name: "the node, after the others read its disk", times: 3, before: (*nodes).readDisk, do: cut},
		{name: "the manager's node, while it writes", times: 2, survived: true, do: func(t *testing.T, n *nodes, _ *site) { cut(t, n, n.sites[0]) }},
		{name: "the container", times: 3, moves: true, do: script("docker kill " + service("writer"))},
		{name: "the task (service update)", times: 3, moves: true, do: func(t *testing.T, n *nodes, _ *site) {
			n.sites[0].ok(t, "docker service update --force --detach writer")
		}},
		{name: "the task (node drain)", times: 2, moves: true, do: available("drain"), undo: available("active")},
	}
}

// aRound are all ways, each as often as it is in a round, in an order of its own.
func aRound(random *rand.Rand) []kill {
	var round []kill
	for _, way := range waysToDie() {
		if !regexp.MustCompile(*only).MatchString(way.name) {
			continue
		}
		round = append(round, slices.Repeat([]kill{way}, way.times)...)
	}
	random.Shuffle(len(round), func(i, j int) { round[i], round[j] = round[j], round[i] })
	return round
}

// TestKills kills whatever can be killed, at random moments, under a Swarm service that writes a database, and finds every
// acknowledged row: now and then in the writer's container, and on the pool at the end. -kills says how often and -seed repeats an order.
func TestKills(t *testing.T) {
	t.Logf("-seed=%d", *seed)
	assert.Assert(t, *looks > 0, "-looks %d: at least 1", *looks)
	random := rand.New(rand.NewPCG(*seed, 0))
	assert.Assert(t, slices.ContainsFunc(aRound(random), func(way kill) bool { return !way.moves }), "-only %q kills nothing", *only)
	n := &nodes{newSites(t, lab.Options{Nodes: 3, LUNs: []lab.LUN{lab.MediaApps}}, quickThreshold)}
	rows := follow(t, n.sites)
	n.serve(t, rows)
	took := map[string]times{}
	killed := 0
	for round := []kill(nil); killed < *kills; round = round[1:] {
		if len(round) == 0 {
			round = aRound(random)
		}
		way := round[0]
		victim, length := n.kill(t, random, rows, way)
		took[way.name] = append(took[way.name], length)
		if !way.moves {
			killed++
		}
		t.Logf("%-56s %6.1f s", fmt.Sprintf("%d: %s on %s", killed, way.name, victim), length.Seconds())
		if !way.moves && killed%*looks == 0 {
			n.finds(t, rows, killed)
		}
	}
	n.end(t, rows, n.sites)
	for _, way := range waysToDie() {
		assert.Check(t, *kills < enoughKills || *only != "" || len(took[way.name]) > 0, "%s: never in %d kills", way.name, *kills)
		t.Logf("measured: to the next row after %s: %s", way.name, took[way.name])
	}
	t.Logf("measured: %d kills of -seed=%d", killed, *seed)
}

// finds looks for every row, and keeps the evidence when one is missing.
func (n *nodes) finds(t *testing.T, rows *ledger, killed int) {
	t.Helper()
	if err := n.look(t, rows); err != nil {
		n.evidence(t, rows)
		t.Fatalf("after %d kills, the last %d of which are above; -seed=%d: %v", killed, *looks, *seed, err)
	}
}

// answers says whether a machine's plugin does.
const answers = pluginPID + " && docker homelab status"

// kill does something to the service's machine, waits for the next row - of the next writer, when the last one cannot go on - and until
// everything is healed and the plugin answers there. It says where that was, and how long the row took.
func (n *nodes) kill(t *testing.T, random *rand.Rand, rows *ledger, way kill) (node string, length time.Duration) {
	t.Helper()
	victim := n.running(t)
	if way.plugin {
		victim.eventually(t, answers)
		pause(t, dialPause)
	}
	if way.before != nil {
		way.before(n, t, victim)
		rows.grows(t, victim.node.Name(), 20)
	}
	pause(t, time.Duration(random.IntN(3000))*time.Millisecond)
	known, began := rows.writers(), time.Now()
	way.do(t, n, victim)
	next := rows.grows(t, "", 1)
	if !way.survived {
		next = rows.succeeds(t, known)
	}
	heal(t, n.sites...)
	if way.undo != nil {
		way.undo(t, n, victim)
	}
	victim.eventually(t, answers)
	return victim.node.Name(), next.Sub(began)
}

// looksAtRows is for a container whose writer goes on.
var looksAtRows = "sqlite3 -readonly -bail -cmd '.timeout 20000' /config/rows.db " + quote(readsRows)

// look finds every row that is acknowledged by now in the database, while the writer goes on. It reads in the namespaces of the writer's
// container, where nothing outlives the writer: as long as it runs, its node has the directory, so that the locks of the reader and the
// writer are of one kernel, and no other node writes (FACTS 2).
func (n *nodes) look(t *testing.T, rows *ledger) error {
	t.Helper()
	acknowledged := rows.acknowledged()
	var last error
	for began := time.Now(); time.Since(began) < patience; pause(t, time.Second) {
		text, err := n.running(t).inside(t, looksAtRows)
		if err == nil {
			if err = rows.finds(acknowledged, text); err != nil {
				t.Logf("what was read until %s: %s", time.Now().Format("15:04:05.000"), rows.history(acknowledged, text))
			}
			return err
		}
		last = err
	}
	return fmt.Errorf("the database was not read within %s: %w", patience, last)
}

// inside runs a script as root in the service's container.
func (s *site) inside(t *testing.T, script string) (string, error) {
	t.Helper()
	container, err := s.writer(t)
	if err != nil {
		return "", err
	}
	return s.node.Output(t.Context(), container.Inside(0, script))
}
