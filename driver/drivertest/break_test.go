package drivertest

import (
	"os"
	"path/filepath"
	"strings"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// died is a volume that a dead node has.
func died(w *world) {
	w.volumes["vol"] = &volume{listed: true, row: "of node2"}
	w.deadNode("vol", "of node2")
}

// brokenOfDead takes a hold away from a node that is gone for good, and a record that nobody can read.
func brokenOfDead(w *world) {
	w.breakHold("vol", "node2", false)
	w.heldBy()
	w.counts(false)
	id := w.mount("vol")
	w.read("vol")
	w.unmount("vol", id)
	w.pass(released)
	record := filepath.Join(w.kernel.HostPath(poolPath), backend.PrivateFolder, backend.HoldersFolder, backend.DirectoryKey("vol"), "record.json")
	assert.NilError(w.t, os.WriteFile(record, []byte("no record"), 0o600))
	w.counts(true)
	w.damaged = true
	w.breakHold("vol", "node2", true)
	w.damaged = false
	id = w.mount("vol")
	w.counts(false)
	w.heldBy("node1")
	w.read("vol")
	w.restart()
	w.unmount("vol", id)
	w.restart()
	w.remove("vol")
	w.inTrash("vol", "of node2")
}

// usedElsewhere is a volume that a container of another node uses.
func usedElsewhere(w *world) {
	w.volumes["vol"] = &volume{listed: true, row: "of node2"}
	second := w.another()
	w.pass(brief) // its first sweep is over
	second.use(w.t, "vol", "of node2", ended)
	w.users(second, "vol", "radarr")
	w.pass(brief) // seen here
}

// brokenByAsking asks a live node for a hold: it keeps what its container uses, and gives back what is left of one that is gone.
func brokenByAsking(w *world) {
	_, err := w.node.driver.HolderBreak(w.t.Context(), "vol", "node2", false)
	assert.Assert(w.t, err != nil, "a hold in use was broken")
	if w.node.points.died() {
		w.revive()
		w.check()
	}
	w.notice()
	w.heldBy("node2")
	w.users(w.second, "vol")
	w.breakHold("vol", "node2", false)
	id := w.mount("vol")
	w.counts(false)
	w.heldBy("node1")
	w.read("vol")
	w.restart()
	w.unmount("vol", id)
	w.restart()
	w.remove("vol")
	w.inTrash("vol", "of node2")
}

// leftHere is a volume of this node whose container is gone without an Unmount.
func leftHere(w *world) {
	w.another()
	w.create("vol", own("db"))
	_, err := w.node.driver.Mount(w.t.Context(), "vol", "left", ended)
	assert.NilError(w.t, err)
	w.write("vol", "row")
	w.pass(brief) // seen there
}

// brokenFromElsewhere has another node ask this one for that hold, and use the volume.
func brokenFromElsewhere(w *world) {
	_, err := w.second.driver.HolderBreak(w.t.Context(), "vol", "node1", false)
	assert.Check(w.t, err == nil || w.node.points.was() != "", "it failed by itself: %v", err)
	if w.node.points.died() {
		w.revive()
		w.check()
	}
	w.notice()
	if err != nil { // not all is given back, or that is not said: it is done by itself
		w.pass(sweeps)
		w.check()
	}
	w.counts(false)
	target, err := w.second.driver.Mount(w.t.Context(), "vol", "there", running)
	assert.NilError(w.t, err)
	w.users(w.second, "vol", "radarr")
	text, err := os.ReadFile(filepath.Join(target, "rows"))
	assert.NilError(w.t, err)
	assert.Equal(w.t, string(text), "row")
	w.heldBy("node2")
	w.restart()
	w.users(w.second, "vol")
	assert.NilError(w.t, w.second.driver.Unmount(w.t.Context(), "vol", "there"))
	w.pass(released)
	w.remove("vol")
	w.inTrash("vol", "row")
}

// breakHold is the operator's command.
func (w *world) breakHold(name, of string, force bool) {
	w.t.Helper()
	tries := 0
	w.call("break the hold of "+name, func(d *driver.Driver) error {
		tries++
		_, err := d.HolderBreak(w.t.Context(), name, of, force)
		if tries > 1 && err != nil && strings.Contains(err.Error(), "it has none") {
			return nil // the first time has done it
		}
		return err
	})
}

// heldBy says which nodes have a hold on the volume.
func (w *world) heldBy(nodes ...string) {
	w.t.Helper()
	var record driver.HolderRecord
	w.call("show the holders", func(d *driver.Driver) (err error) {
		record, err = d.HolderOf(w.t.Context(), "vol")
		return err
	})
	var found []string
	for _, one := range record.Holders {
		found = append(found, one.Name)
	}
	assert.DeepEqual(w.t, found, nodes)
}
