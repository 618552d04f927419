//go:build lab && long

package cluster

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/lab"
)

// TestCutOff cuts the machine that runs a Swarm service off, from its peers or from the NAS: it resets itself, as O2CB demands, and another
// machine goes on with the database. At no time do two write.
func TestCutOff(t *testing.T) {
	n := &nodes{newSites(t, lab.Options{Nodes: 3, LUNs: []lab.LUN{lab.MediaApps}}, quickThreshold)}
	rows := follow(t, n.sites)
	n.serve(t, rows)
	for name, cut := range map[string]func(t *testing.T, victim *site){
		"its peers": func(t *testing.T, victim *site) {
			for _, s := range n.sites {
				if s != victim {
					assert.NilError(t, victim.node.CutPeer(t.Context(), s.node))
				}
			}
		},
		"the NAS":    func(t *testing.T, victim *site) { assert.NilError(t, victim.node.CutNAS(t.Context())) },
		"everything": func(t *testing.T, victim *site) { assert.NilError(t, victim.node.CutNetwork(t.Context())) },
	} {
		t.Run(name, func(t *testing.T) {
			victim, known, began := n.running(t), rows.writers(), time.Now()
			cut(t, victim)
			next := rows.succeeds(t, known)
			t.Logf("measured: cut off from %s: %.1f s to the next row", name, next.Sub(began).Seconds())
			for victim.node.Running() && time.Since(began) < patience {
				pause(t, time.Second)
			}
			assert.Assert(t, !victim.node.Running(), "the machine that was cut off runs on beside the next writer")
			heal(t, n.sites...)
		})
	}
	n.end(t, rows, n.sites)
}
