//go:build lab

package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/homelab-storage/homelab-storage/integration/lab"
)

// quickThreshold is o2cb's dead threshold of machines among which one is killed: (7 - 1) * 2 s.
const quickThreshold = 7

// sameLimit is how long a change may take to be seen on another node: a second, in which the node looks once (driver/run.go), where a
// command takes as long itself, since three emulated machines share two processors.
const sameLimit = 5 * time.Second

// nodes are the machines of one cluster, with one pool.
type nodes struct{ sites []*site }

// TestNodes is three machines. It does not run beside others: a machine that stands still for 12 s is taken for dead.
func TestNodes(t *testing.T) {
	n := &nodes{newSites(t, lab.Options{Nodes: 3, LUNs: []lab.LUN{lab.MediaApps}}, quickThreshold)}
	t.Run("catalog", n.testCatalog)
	t.Run("one writer", n.testOneWriter)
	t.Run("service", n.testService)
}

// created and removed are what Swarm and compose do: an emulated machine may need longer than a call is given, and they try again.
func created(volume, class string) string {
	return "docker volume create --driver homelab-storage --opt class=" + class + " " + volume
}

func removed(volume string) string {
	return fmt.Sprintf("docker volume rm %[1]s || ! docker volume inspect %[1]s", volume)
}

// testCatalog makes and removes volumes on one node, and on all at once, and asks the others.
func (n *nodes) testCatalog(t *testing.T) {
	one, two, three := n.sites[0], n.sites[1], n.sites[2]
	for _, s := range n.sites { // a node that joins the cluster has the others wait for their locks
		s.eventually(t, "findmnt --types ocfs2 "+poolPath)
	}
	one.eventually(t, created("first", "db"))
	n.everywhere(t, "docker volume ls --quiet | grep --line-regexp first")
	two.eventually(t, removed("first"))
	n.everywhere(t, "! docker volume ls --quiet | grep --line-regexp first")
	// A removed volume's name is free for another one at once, everywhere.
	three.eventually(t, created("first", "config"))
	n.everywhere(t, "docker volume inspect --format '{{.Status.class}}' first | grep config")
	one.eventually(t, removed("first"))
	n.race(t)
}

// race makes one volume on all nodes at once, and removes it on all at once.
func (n *nodes) race(t *testing.T) {
	t.Helper()
	each(t, n.sites, func(s *site) error {
		_, err := s.node.Exec(t.Context(), created("raced", "db"))
		return err
	})
	ids := map[string]bool{}
	for _, s := range n.sites {
		s.eventually(t, created("raced", "db"))
		ids[s.ok(t, "docker volume inspect --format '{{.Status.id}}' raced")] = true
	}
	assert.Equal(t, len(ids), 1, "one volume, whoever was first: %v", ids)
	each(t, n.sites, func(s *site) error {
		_, err := s.node.Exec(t.Context(), "docker volume rm raced") // who comes late finds none
		return err
	})
	n.sites[0].eventually(t, removed("raced"))
	n.everywhere(t, "! docker volume ls --quiet | grep --line-regexp raced")
}

// everywhere waits until every node sees a change that was made a moment ago.
func (n *nodes) everywhere(t *testing.T, script string) {
	t.Helper()
	for _, s := range n.sites {
		began := time.Now()
		s.eventually(t, script)
		assert.Assert(t, time.Since(began) < sameLimit, "%s saw it after %s", s.node.Name(), time.Since(began))
	}
}

// writer starts a container that writes rows, as a node's own.
func writer(volume string) string {
	return fmt.Sprintf("docker run --detach --name writer --network none --volume %s:/config --volume %s:/acks %s sh -c %s",
		volume, acks, lab.StandIn, quote(writesRows))
}

// testOneWriter hands a database from node to node. The next one begins to wait for it while the last one still writes.
func (n *nodes) testOneWriter(t *testing.T) {
	rows := follow(t, n.sites)
	n.sites[0].eventually(t, created("hands", "db"))
	n.sites[0].ok(t, writer("hands"))
	rows.grows(t, n.sites[0].node.Name(), 3)
	text, took := n.sites[1].refused(t, writer("hands"))
	golden.Assert(t, n.sites[1].stable(text)+"\n", "../../testdata/golden/held.txt")
	assert.Assert(t, took < answerLimit+n.sites[1].overhead(t), "refused after %s", took)
	last := n.sites[0]
	for turn := range 2 {
		next := n.sites[(turn+1)%len(n.sites)]
		waiting := make(chan error, 1)
		go func() {
			_, err := next.node.Output(t.Context(), writer("hands"))
			waiting <- err
		}()
		rows.grows(t, last.node.Name(), 5)
		began := time.Now()
		last.ok(t, "docker rm --force writer")
		assert.NilError(t, <-waiting)
		first := rows.grows(t, next.node.Name(), 1)
		t.Logf("measured: %-44s %6.1f s", fmt.Sprintf("%s to %s", last.node.Name(), next.node.Name()), first.Sub(began).Seconds())
		last = next
	}
	last.ok(t, "docker rm --force writer")
	rows.check(t, last, "hands")
	last.eventually(t, removed("hands"))
}

// testService has Swarm move a database away from a node that loses its power. That node comes back in TestKills, and what else
// Swarm does is in TestLong.
func (n *nodes) testService(t *testing.T) {
	rows := follow(t, n.sites)
	n.serve(t, rows)
	n.failover(t, rows)
}

// failover cuts the power of the node that runs the service, and measures until another one writes.
func (n *nodes) failover(t *testing.T, rows *ledger) {
	t.Helper()
	dead := n.running(t)
	heir := n.sites[1]
	if heir == dead {
		heir = n.sites[2]
	}
	n.readDisk(t, dead)
	rows.grows(t, dead.node.Name(), 20)
	locks := probe(t, heir, poolPath+"/served/rows.db-wal")
	since, began := heir.clock(t), time.Now()
	assert.NilError(t, dead.node.Kill(t.Context()))
	first := rows.grows(t, heir.node.Name(), 1)
	t.Logf("measured: %-44s %6.1f s", "from the power cut to the next row", first.Sub(began).Seconds())
	locks.judge(t, heir, n.sites[0], since)
	n.end(t, rows, []*site{n.sites[0], heir})
}

// readDisk reads the disk of the pool on all machines but one. What their kernels keep of it is that one's journal as it was, which
// makes them lose its last rows when it dies, were it not for the plugin (docs/facts.md, 2). One that has just booted mounts it first.
func (n *nodes) readDisk(t *testing.T, but *site) {
	t.Helper()
	for _, s := range n.sites {
		if s != but {
			s.eventually(t, "dd if=$(findmnt --noheadings --output SOURCE "+poolPath+") of=/dev/null bs=1M count=200 2>/dev/null")
		}
	}
}

// serve starts a Swarm service that writes rows.
func (n *nodes) serve(t *testing.T, rows *ledger) {
	t.Helper()
	n.swarm(t)
	n.sites[0].ok(t, strings.Join([]string{
		"docker service create --detach --name writer --constraint node.role==worker --no-resolve-image --network host --stop-grace-period 2s --restart-delay 1s",
		"--mount type=volume,source=served,target=/config,volume-driver=homelab-storage,volume-opt=class=db",
		"--mount type=bind,source=" + acks + ",target=/acks", lab.StandIn, "sh -c", quote(writesRows),
	}, " "))
	rows.grows(t, "", 3)
}

// end removes the service and finds every row, on the machines that run.
func (n *nodes) end(t *testing.T, rows *ledger, running []*site) {
	t.Helper()
	n.sites[0].eventually(t, "docker service rm writer")
	n.unheld(t, running)
	rows.check(t, n.sites[0], "served")
	n.sites[0].eventually(t, removed("served"))
}

// writer is the service's container on a machine.
func (s *site) writer(t *testing.T) (lab.Container, error) {
	t.Helper()
	return s.node.RunningContainer(t.Context(), "label", "com.docker.swarm.service.name=writer")
}

// unheld waits until no machine has the service's volume any more.
func (n *nodes) unheld(t *testing.T, running []*site) {
	t.Helper()
	for _, s := range running {
		s.eventually(t, "! docker homelab holder ls | grep --word-regexp served")
	}
}

// swarm makes the first machine the manager and the others workers, which run the services: a manager of three that is emulated
// loses its leader whenever the computer is busy.
func (n *nodes) swarm(t *testing.T) {
	t.Helper()
	manager := n.sites[0]
	manager.ok(t, "docker swarm init --advertise-addr "+manager.node.Address())
	token := manager.ok(t, "docker swarm join-token --quiet worker")
	each(t, n.sites[1:], func(s *site) error {
		// The engine goes on joining when the 20 s are over that the command waits.
		_, err := s.node.Exec(t.Context(), fmt.Sprintf("docker swarm join --advertise-addr %s --token %s %s:2377", s.node.Address(), token, manager.node.Address()))
		return err
	})
	for _, s := range n.sites[1:] {
		s.eventually(t, "docker info --format '{{.Swarm.LocalNodeState}}' | grep --line-regexp active")
	}
}

// running is the machine that has the service's container.
func (n *nodes) running(t *testing.T) *site {
	t.Helper()
	for began := time.Now(); time.Since(began) < patience; pause(t, 200*time.Millisecond) {
		for _, s := range n.sites[1:] {
			if _, err := s.writer(t); err == nil {
				return s
			}
		}
	}
	t.Fatal("no node runs the service")
	return nil
}
