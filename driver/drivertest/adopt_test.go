package drivertest

import (
	"os"
	"path/filepath"
	"slices"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// formatted is a catalog pool that was formatted again, with the data of a volume copied back. Its credentials are in the node's copy only.
func formatted(w *world) {
	w.login("nas", "one")
	w.create("vol", own("db"))
	id := w.mount("vol")
	w.write("vol", "one")
	w.unmount("vol", id)
	w.pass(released)
	assert.NilError(w.t, os.RemoveAll(filepath.Join(w.kernel.HostPath(poolPath), backend.PrivateFolder)))
	w.pass(brief) // seen
}

// adopted begins anew with the directories that are on the pool.
func adopted(w *world) {
	w.begin("vol")
	w.begin("other")
	w.call("adopt the catalog", func(d *driver.Driver) error {
		repair, err := d.CatalogAdopt(w.t.Context())
		if err == nil {
			slices.Sort(repair.Lost)
			assert.DeepEqual(w.t, repair.Lost, []string{"other", "vol"})
		}
		return err
	})
	w.acknowledge("vol", false)
	w.acknowledge("other", false)
	w.pass(brief)
	w.look()
	w.loginsStay()
	w.takenAgain("vol")
}

// loginsStay finds the credentials on the pool and in the node's copy, also when that was made equal to the pool again.
func (w *world) loginsStay() {
	w.t.Helper()
	w.pass(sweeps)
	assert.DeepEqual(w.t, w.shared(), map[string]string{"nas": "one"})
	assert.DeepEqual(w.t, w.copies(), map[string]string{"nas": "one"})
}

// takenAgain makes a volume of a directory that is there, and removes it.
func (w *world) takenAgain(name string) {
	w.t.Helper()
	w.create(name, own("db"))
	w.counts(false)
	id := w.mount(name)
	w.read(name)
	w.restart()
	w.read(name)
	w.unmount(name, id)
	w.restart()
	w.remove(name)
	text, err := os.ReadFile(filepath.Join(w.kernel.HostPath(poolPath), name, "rows"))
	assert.NilError(w.t, err, "a directory that was there stays")
	assert.Equal(w.t, string(text), w.volumes[name].row)
}

// recordsRestored has this node's records written onto the pool. A directory without its mark is not taken for the volume's: the operator
// removes the volume and makes it again.
func recordsRestored(w *world) {
	w.call("restore the catalog", func(d *driver.Driver) error {
		_, err := d.CatalogRestore(w.t.Context())
		return err
	})
	w.pass(brief)
	w.look()
	w.loginsStay()
	w.remove("vol")
	w.takenAgain("vol")
}
