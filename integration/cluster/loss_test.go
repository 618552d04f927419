//go:build lab && long

package cluster

import (
	"fmt"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/lab"
)

// many is how many rows each of two writers has to write.
const many = 80

// lossTries is how often two writers may get away with it.
const lossTries = 5

// testTwoWriters has two nodes write one database at once, as every driver without holds allows it: rows that were acknowledged are
// lost, or the file is corrupt, because o2cb knows POSIX locks on one node only (FACTS 2). Then the same by default: the second
// writer waits for the first, and nothing is lost.
func (n *nodes) testTwoWriters(t *testing.T) {
	heal(t, n.sites...)
	for try := range lossTries {
		acked, there, health := n.bothWrite(t, fmt.Sprintf("lossy%d", try), "db --opt access=shared")
		t.Logf("measured: access=shared: %d rows acknowledged by two nodes, %d of them in the database, integrity_check: %.60q", acked, there, health)
		if there < acked || health != "ok" {
			break
		}
		assert.Assert(t, try+1 < lossTries, "two writers of two nodes lost nothing in %d tries: the promise that holds are for is not needed", lossTries)
	}
	acked, there, health := n.bothWrite(t, "safe", "db")
	t.Logf("measured: by default: %d rows acknowledged by two nodes, %d of them in the database, integrity_check: %.60q", acked, there, health)
	assert.Equal(t, acked, 2*many)
	assert.Equal(t, there, acked)
	assert.Equal(t, health, "ok")
}

// bothWrite runs a writer on two nodes, and counts the rows that they acknowledged, and those of them that can be read. A writer that
// is refused comes again; one that finds the file corrupt does not.
func (n *nodes) bothWrite(t *testing.T, volume, class string) (acked, there int, health string) {
	t.Helper()
	one, two := n.sites[0], n.sites[1]
	one.eventually(t, created(volume, class))
	one.ok(t, run(volume)+" sh -c "+quote(makesTable)) // so that both find the table
	both := []*site{one, two}
	each(t, both, func(s *site) error {
		_, err := s.node.Output(t.Context(), fmt.Sprintf(`rm -rf %[1]s && mkdir %[1]s
until docker run --name writer --network none --volume %[2]s:/config --volume %[1]s:/acks %[3]s sh -c %[4]s; [ $? -lt 125 ]; do
	docker rm --force writer >/dev/null; sleep 1
done
docker rm --force writer`, acks, volume, lab.StandIn, quote(fmt.Sprintf("rows=%d; %s", many, writesRows))))
		return err
	})
	promised := map[string]bool{}
	for _, s := range both {
		for row := range strings.Lines(s.ok(t, "cat "+acks+"/rows")) {
			promised[strings.TrimSpace(row)] = true
		}
		s.eventually(t, "! { "+held(volume)+"; }")
	}
	result, err := one.node.Exec(t.Context(), fmt.Sprintf("sqlite3 %s/%s/rows.db 'pragma integrity_check' | head --lines 1; sqlite3 %[1]s/%[2]s/rows.db 'select name from rows'",
		poolPath, volume))
	assert.NilError(t, err)
	health, found, _ := strings.Cut(strings.TrimSpace(result.Stdout), "\n")
	for row := range strings.Lines(found) {
		if promised[strings.TrimSpace(row)] {
			there++
		}
	}
	one.eventually(t, removed(volume))
	return len(promised), there, health
}
