//go:build lab && long

package cluster

import "testing"

// stopsEngine stops an engine whose machine goes on: another node has its database at once, since what the engine ended on the way was given
// back before the plugin ended. The database goes home when the engine is started again.
func (n *nodes) stopsEngine(t *testing.T, rows *ledger) {
	stops, takes := n.sites[2], n.sites[1]
	stops.ok(t, "systemctl stop docker.socket docker.service && mountpoint --quiet "+poolPath)
	measure(t, "the database of a node whose engine is stopped", func() { takes.ok(t, run(stops.own())+" test -s /config/rows.db") })
	stops.ok(t, "systemctl start docker.socket docker.service")
	measure(t, "the next row after the engine's start", func() { rows.grows(t, stops.node.Name(), 3) })
}
