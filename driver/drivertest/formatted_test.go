package drivertest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"gotest.tools/v3/assert"
)

// The catalog pool is formatted again, or is on a new disk, and the data is copied back. Nothing is made by itself; the operator's
// command is what gives the pool its marker, and the volumes are then made of the directories that are there.
func TestFormattedPoolIsTakenIntoUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &points{})
		w.create("radarr", map[string]string{"class": "db"})
		id := w.mount("radarr")
		w.write("radarr", "a row")
		w.unmount("radarr", id)
		w.pass(released)

		pool := w.kernel.HostPath(poolPath)
		assert.NilError(t, os.RemoveAll(filepath.Join(pool, ".homelab-storage")))
		w.revive()
		_, err := os.Stat(filepath.Join(pool, ".homelab-storage"))
		assert.ErrorIs(t, err, os.ErrNotExist, "nothing is made by itself")
		problems := w.node.driver.Health(t.Context()).Problems
		assert.Equal(t, len(problems), 1, "%q", problems)
		assert.Assert(t, strings.HasPrefix(problems[0], `pool "media-apps": it has no records of volumes, and this node knows 1: it was formatted again`), problems[0])
		lost, err := w.node.driver.CatalogAdopt(t.Context())
		assert.NilError(t, err)
		assert.DeepEqual(t, lost, []string{"radarr"})
		assert.Equal(t, len(w.node.driver.Health(t.Context()).Problems), 0)

		w.create("radarr", map[string]string{"class": "db"})
		id = w.mount("radarr")
		w.read("radarr")
		w.unmount("radarr", id)
		w.remove("radarr")
		_, err = os.Stat(filepath.Join(pool, "radarr", "rows"))
		assert.NilError(t, err, "a directory that was there stays")
		w.node.end(t)
	})
}

// The node's records go onto a catalog pool that was formatted again.
func TestRecordsAreWrittenToAFormattedPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &points{})
		w.create("radarr", map[string]string{"class": "db"})
		assert.NilError(t, os.RemoveAll(filepath.Join(w.kernel.HostPath(poolPath), ".homelab-storage")))
		w.revive()
		count, err := w.node.driver.CatalogRestore(t.Context())
		assert.NilError(t, err)
		assert.Equal(t, count, 1)
		w.create("sonarr", map[string]string{"class": "db"})
		w.node.end(t)
	})
}
