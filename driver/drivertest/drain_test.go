package drivertest

import (
	"io/fs"
	"os"
	"path/filepath"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// oneContainer has a volume that a container uses, which the engine stops and starts when it is asked to.
func oneContainer(w *world) {
	w.node.containers.all = []*container{{id: "radarr", volume: "vol"}}
	w.create("vol", own("db"))
	assert.NilError(w.t, w.node.containers.begin(w.t.Context(), "radarr"))
	w.write("vol", "row")
}

// drained takes the pool out of use for a check of its disk, and back.
func drained(w *world) {
	w.drain(driver.DrainOptions{Stop: true})
	w.counts(false)
	assert.Assert(w.t, w.node.host.checked() > 0)
	w.afterDrain()
}

// held keeps it out of use for as long as the operator wants.
func held(w *world) {
	files := w.kernel.HostPath(poolPath)
	w.drain(driver.DrainOptions{Stop: true, Hold: true})
	w.node.host.down()
	if !w.hit { // a release that failed is free for other nodes as the heartbeat ends, and done when the pool is back
		w.noHolds(files)
	}
	assert.Equal(w.t, w.node.host.checked(), 0)
	w.call("undrain", func(d *driver.Driver) error {
		report, err := d.Undrain(w.t.Context(), poolName)
		return follow(w, d, report, err)
	})
	w.counts(false)
	w.afterDrain()
}

// afterDrain: everything is as it was, and the drain is forgotten.
func (w *world) afterDrain() {
	w.t.Helper()
	for range 2 {
		assert.Assert(w.t, w.node.containers.runs("radarr"))
		assert.DeepEqual(w.t, w.node.host.mounts(w.t.Context(), mounter.Host), []string{poolPath})
		_, err := os.Stat(filepath.Join(w.node.folder("state"), "drains", poolName+".json"))
		assert.ErrorIs(w.t, err, fs.ErrNotExist)
		w.read("vol")
		w.heldBy("node1")
		w.restart()
	}
	w.node.containers.end(w.t.Context(), "radarr")
	w.pass(released)
	w.remove("vol")
	w.inTrash("vol", "row")
}

// drain is the operator's command, which follows the work to its end.
func (w *world) drain(options driver.DrainOptions) {
	w.t.Helper()
	w.call("drain", func(d *driver.Driver) error {
		report, err := d.Drain(w.t.Context(), poolName, options)
		return follow(w, d, report, err)
	})
}

func follow(w *world, d *driver.Driver, report driver.DrainReport, err error) error {
	for err == nil && !report.Ended {
		report, err = d.DrainProgress(w.t.Context(), poolName, len(report.Lines))
	}
	return err
}

// noHolds says that nobody has a hold on any directory of a pool, by the files of it.
func (w *world) noHolds(files string) {
	w.t.Helper()
	records, err := filepath.Glob(filepath.Join(files, backend.PrivateFolder, backend.HoldersFolder, "*", "record.json"))
	assert.NilError(w.t, err)
	assert.Check(w.t, len(records) == 0, "%v", records)
}
