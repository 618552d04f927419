package drivertest

import (
	"errors"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
)

// broughtUp is a pool that the plugin connects and mounts at its first start.
func broughtUp(w *world) {
	w.create("vol", own("db"))
	w.counts(false)
	assert.Assert(w.t, w.node.host.connected())
	id := w.mount("vol")
	w.write("vol", "row")
	w.restart()
	w.read("vol")
	w.unmount("vol", id)
	w.restart()
	w.remove("vol")
	w.inTrash("vol", "row")
}

// left is a node that the plugin is uninstalled from, as soon as nothing uses a volume, and installed on again.
func left(w *world) {
	files := w.kernel.HostPath(poolPath)
	w.node.containers.end(w.t.Context(), "radarr")
	w.meanwhile = func() { // it works on as before
		id := w.mount("vol")
		w.read("vol")
		w.unmount("vol", id)
	}
	w.call("leave", func(d *driver.Driver) error { // while the hold lingers
		_, err := d.Leave(w.t.Context())
		return err
	})
	w.counts(false)
	w.meanwhile = nil
	w.node.host.down()
	w.noHolds(files)
	assert.Check(w.t, !w.node.host.connected(), "the session that the plugin made is still there")
	_, err := w.node.driver.Mount(w.t.Context(), "vol", "late", running)
	assert.Check(w.t, err != nil && !errors.Is(err, driver.ErrNotFound), "%v", err)
	w.node.host.down()

	w.revive()
	w.check()
	id := w.mount("vol")
	w.read("vol")
	w.unmount("vol", id)
	w.remove("vol")
	w.inTrash("vol", "row")
}

// toLeave is a node with a container, from which the plugin does not go.
func toLeave(w *world) {
	oneContainer(w)
	_, err := w.node.driver.Leave(w.t.Context())
	assert.ErrorContains(w.t, err, `volume "vol" is used by process`)
	w.read("vol")
}
