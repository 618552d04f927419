package drivertest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/catalog"
)

// recordOf reads a volume's record on the catalog pool.
func recordOf(w *world, name string) (record catalog.Record) {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.kernel.HostPath(poolPath), ".homelab-storage/catalog/volumes", name+".json"))
	assert.NilError(w.t, err)
	assert.NilError(w.t, json.Unmarshal(text, &record))
	return record
}

// removed makes a volume with options that are not its class's, fills and removes it, and returns its record and its entry.
func removed(w *world) (was catalog.Record, entry string) {
	w.t.Helper()
	w.create("vol", own("config", "access", "exclusive", "ro", "true", "mode", "0750", "subdir", "apps/vol"))
	assert.NilError(w.t, os.WriteFile(filepath.Join(w.kernel.HostPath(poolPath), "apps/vol/rows"), []byte("one"), 0o600))
	was = recordOf(w, "vol")
	w.remove("vol")
	return was, w.inTrash("vol", "one")
}

// A volume that comes out of the trash is what it was: who may use it, who owns it, whether anybody writes. So is one that is removed
// and restored again.
func TestRestoredVolumeIsAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &points{})
		was, entry := removed(w)
		for range 2 {
			assert.NilError(t, w.node.driver.TrashRestore(t.Context(), entry, ""))
			now := recordOf(w, "vol")
			assert.DeepEqual(t, now.Location, was.Location)
			assert.Equal(t, now.Class, was.Class)
			assert.Equal(t, now.Access, "exclusive")
			w.remove("vol")
			entry = w.inTrash("vol", "one")
		}
		w.create("db", own("data", "sqlite", "true"))
		assert.NilError(t, os.WriteFile(filepath.Join(w.kernel.HostPath(poolPath), "db/rows"), []byte("two"), 0o600))
		w.remove("db")
		assert.NilError(t, w.node.driver.TrashRestore(t.Context(), w.inTrash("db", "two"), "another"))
		now := recordOf(w, "another")
		assert.Assert(t, now.SQLite)
		assert.Equal(t, now.Access, "exclusive")
		assert.Equal(t, now.Location.Subdir, "another")
		w.node.end(t)
	})
}

// An entry of an older version says nothing of access and sqlite; owner, mode and ro it has.
func TestEntryOfAnOlderVersionIsRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &points{})
		was, entry := removed(w)
		file := filepath.Join(w.kernel.HostPath(poolPath), ".homelab-storage/trash", entry, "entry.json")
		text, err := os.ReadFile(file)
		assert.NilError(t, err)
		kept := map[string]any{}
		assert.NilError(t, json.Unmarshal(text, &kept))
		assert.Equal(t, kept["access"], "exclusive")
		delete(kept, "access")
		text, err = json.Marshal(kept)
		assert.NilError(t, err)
		assert.NilError(t, os.WriteFile(file, text, 0o600))
		assert.NilError(t, w.node.driver.TrashRestore(t.Context(), entry, ""))
		now := recordOf(w, "vol")
		assert.DeepEqual(t, now.Location, was.Location)
		assert.Equal(t, now.Class, "config")
		assert.Equal(t, now.Access, "until-database")
		w.node.end(t)
	})
}
