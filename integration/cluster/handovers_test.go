//go:build lab && long

package cluster

import (
	"fmt"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// handOver is a way in which Swarm moves a service from one task to the next.
type handOver struct {
	name string
	do   func(t *testing.T, n *nodes, rows *ledger)
}

func handOvers() []handOver {
	return []handOver{
		{"service update --force", func(t *testing.T, n *nodes, _ *ledger) {
			n.sites[0].ok(t, "docker service update --detach --force writer")
		}},
		{"start-first, and stop-first after it", startsFirst},
		{"scale 0, and 1", scales},
		{"node drain", drainsNode},
		{"stop_grace_period of 60 s", stopsSlowly},
	}
}

// grace is a stop_grace_period that outlasts LEASE_WAIT, and a Mount's time.
const grace = 60 * time.Second

// testHandOvers moves a database in every way that Swarm has, and finds every row.
func (n *nodes) testHandOvers(t *testing.T) {
	rows := follow(t, n.sites)
	n.serve(t, rows)
	for _, over := range handOvers() {
		n.handOver(t, rows, over)
	}
	n.end(t, rows, n.sites)
	n.leaveSwarm(t)
}

// handOver moves the service, and waits for a row of the new task.
func (n *nodes) handOver(t *testing.T, rows *ledger, over handOver) {
	t.Helper()
	measure(t, over.name, func() {
		known := rows.writers()
		over.do(t, n, rows)
		rows.succeeds(t, known)
	})
}

// startsFirst asks Swarm to start the next task on another node before the last one has ended: that is two writers, and refused in
// so many words, while the last one writes on. With the order of the default it goes well.
func startsFirst(t *testing.T, n *nodes, rows *ledger) {
	t.Helper()
	node, manager := n.running(t).node.Name(), n.sites[0]
	elsewhere := "node.hostname!=" + node
	manager.ok(t, "docker service update --detach --update-order start-first --constraint-add "+elsewhere+" writer")
	manager.eventually(t, fmt.Sprintf("docker service ps --no-trunc --format '{{.Error}}' writer | grep --fixed-strings %s",
		quote(fmt.Sprintf("node %s has it for itself alone, since ", node))))
	known := rows.writers()
	rows.grows(t, node, 3)
	assert.Equal(t, len(rows.writers()), len(known), "the next writer began before the last one had ended")
	// Without --force Swarm may as well stay with the last task: to it both are up to date.
	manager.ok(t, "docker service update --detach --force --update-order stop-first --constraint-rm "+elsewhere+" writer")
}

// scales ends the service, finds every row until then, and begins it again.
func scales(t *testing.T, n *nodes, rows *ledger) {
	t.Helper()
	n.sites[0].ok(t, "docker service scale --detach writer=0")
	n.unheld(t, n.sites)
	rows.check(t, n.sites[1], "served")
	n.sites[0].ok(t, "docker service scale --detach writer=1")
}

// drainsNode takes the node of the service out of use, and gives it back.
func drainsNode(t *testing.T, n *nodes, rows *ledger) {
	t.Helper()
	node, known := n.running(t).node.Name(), rows.writers()
	n.sites[0].ok(t, "docker node update --availability drain "+node)
	rows.succeeds(t, known)
	assert.Assert(t, n.running(t).node.Name() != node)
	n.sites[0].ok(t, "docker node update --availability active "+node+" && docker service update --detach --force writer")
}

// stopsSlowly gives the writer a minute to end, which it uses to write on. The next one, on another node, is refused meanwhile, and
// comes again.
func stopsSlowly(t *testing.T, n *nodes, rows *ledger) {
	t.Helper()
	known, manager := rows.writers(), n.sites[0]
	manager.ok(t, "docker service update --detach --stop-grace-period "+grace.String()+" writer")
	rows.succeeds(t, known)
	known = rows.writers()
	began, elsewhere := time.Now(), "node.hostname!="+n.running(t).node.Name()
	manager.ok(t, "docker service update --detach --constraint-add "+elsewhere+" writer")
	until := rows.succeeds(t, known)
	assert.Assert(t, until.Sub(began) > grace-5*time.Second, "the writer was given %s only", until.Sub(began))
	manager.ok(t, "docker service update --detach --stop-grace-period 2s --constraint-rm "+elsewhere+" writer")
}

func (n *nodes) leaveSwarm(t *testing.T) {
	t.Helper()
	each(t, n.sites, func(s *site) error {
		_, err := s.node.Output(t.Context(), "docker swarm leave --force")
		return err
	})
}
