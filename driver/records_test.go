package driver_test

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/catalog"
)

// TestAFrozenCatalogOfTheNodeIsRead: a start must not fail for it, because then no call would be answered at all.
func TestAFrozenCatalogOfTheNodeIsRead(t *testing.T) {
	b := newBench(t)
	b.pool.standalone.Store(true)
	b.create(t, "radarr_config", map[string]string{"class": "db"})
	header := filepath.Join(b.options.StateDir, "local", "catalog", "catalog.json")
	assert.NilError(t, os.Remove(header))
	b.start(t)
	_, err := b.driver.Get(t.Context(), "radarr_config")
	assert.NilError(t, err)
	err = b.driver.Create(t.Context(), "other", map[string]string{"class": "db"})
	assert.ErrorIs(t, err, catalog.ErrFrozen)
	assert.ErrorContains(t, err, "catalog.json is missing")
}
