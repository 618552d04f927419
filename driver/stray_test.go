package driver_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// A node whose configuration has the catalog on another pool makes its own there. The others say so, until they know its volumes.
func TestCatalogOfOtherNodesIsNamed(t *testing.T) {
	b := newBench(t)
	b.kernel.MountHost(besidePath, mountertest.FileSystem{Type: "ocfs2", UUID: strings.Repeat("B", 32), Source: "/dev/sdb"})
	both := configured()
	both.Pools = append(both.Pools, settings.Pool{Name: besideName, Path: besidePath})
	b.source.now.Store(both)
	b.create(t, "ours", map[string]string{"class": "db"})
	b.driver.Sweep(t.Context())
	assert.Equal(t, len(b.driver.Health(t.Context()).Problems), 0)

	text, err := os.ReadFile(filepath.Join(b.pool.proven().Private, backend.CatalogFolder, "volumes", "ours.json"))
	assert.NilError(t, err)
	theirs := filepath.Join(b.kernel.HostPath(besidePath), backend.PrivateFolder, backend.CatalogFolder, "volumes")
	assert.NilError(t, os.MkdirAll(theirs, 0o700))
	assert.NilError(t, os.WriteFile(filepath.Join(theirs, "ours.json"), text, 0o600)) // a copy of what this node knows says nothing
	assert.NilError(t, os.WriteFile(filepath.Join(theirs, "torn.json"), text[:20], 0o600))
	b.driver.Sweep(t.Context())
	assert.Equal(t, len(b.driver.Health(t.Context()).Problems), 0)

	info, err := b.driver.Get(t.Context(), "ours")
	assert.NilError(t, err)
	id, _ := info.Status["id"].(string)
	text = bytes.ReplaceAll(text, []byte(id), []byte(strings.Repeat("e", 32)))
	text = bytes.ReplaceAll(text, []byte(`"name": "ours"`), []byte(`"name": "theirs"`))
	assert.NilError(t, os.WriteFile(filepath.Join(theirs, "theirs.json"), text, 0o600))
	b.driver.Sweep(t.Context())
	problems := b.driver.Health(t.Context()).Problems
	assert.Equal(t, len(problems), 1, "%q", problems)
	assert.Assert(t, strings.HasPrefix(problems[0], `pool "app-data": it has the records of volumes that this node does not know (theirs), and this node keeps its records on pool media-apps`), problems[0])

	b.source.now.Store(configured())
	b.driver.Sweep(t.Context())
	assert.Equal(t, len(b.driver.Health(t.Context()).Problems), 0, "the pool is not this node's any more")
	b.source.now.Store(both)
	b.driver.Sweep(t.Context())
	assert.Equal(t, len(b.driver.Health(t.Context()).Problems), 1)
	assert.NilError(t, os.Remove(filepath.Join(theirs, "theirs.json")))
	b.driver.Sweep(t.Context())
	assert.Equal(t, len(b.driver.Health(t.Context()).Problems), 0)
}

// A node whose configuration names the wrong pool for a while has the right one again afterwards.
func TestCatalogPoolIsCorrected(t *testing.T) {
	b := newBench(t)
	b.kernel.MountHost(besidePath, mountertest.FileSystem{Type: "ocfs2", UUID: strings.Repeat("B", 32), Source: "/dev/sdb"})
	b.create(t, "ours", map[string]string{"class": "db"})
	wrong := configured()
	wrong.Pools[0].Catalog = false
	wrong.Pools = append(wrong.Pools, settings.Pool{Name: besideName, Path: besidePath, Catalog: true})
	b.source.now.Store(wrong)
	for range 2 {
		err := b.driver.Create(t.Context(), "another", map[string]string{"class": "db"})
		assert.ErrorIs(t, err, catalog.ErrFrozen)
		assert.ErrorContains(t, err, "docker homelab catalog restore")
	}
	b.source.now.Store(configured())
	b.create(t, "another", map[string]string{"class": "db"})
	assert.Equal(t, len(b.driver.Health(t.Context()).Problems), 0)
}
