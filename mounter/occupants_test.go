package mounter_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gotest.tools/v3/assert"
)

// Whoever has a file of a pool open, and whoever has the pool mounted in a namespace of its own, is named; others are not.
func TestOccupants(t *testing.T) {
	f := newFixture(t)
	inPlugin, pool := f.poolFolder(t, "occupied/db"), filepath.Join(f.pool.Path, "occupied/db")
	pids := func(name, device string) []int {
		t.Helper()
		found, err := f.Occupants(t.Context(), name, device)
		assert.NilError(t, err)
		var pids []int
		for _, one := range found {
			assert.Assert(t, one.Name != "" && one.Target != "", "%+v", one)
			pids = append(pids, one.PID)
		}
		return pids
	}
	assert.Assert(t, !slices.Contains(pids(pool, ""), os.Getpid()))
	file, err := os.Create(filepath.Join(inPlugin, "file"))
	assert.NilError(t, err)
	assert.Assert(t, slices.Contains(pids(pool, ""), os.Getpid()), "an open file")
	assert.Assert(t, !slices.Contains(pids(pool+"x", ""), os.Getpid()), "a path is no prefix of letters")
	assert.NilError(t, file.Close())
	assert.Assert(t, !slices.Contains(pids(pool, ""), os.Getpid()))

	facts, err := f.Filesystem(t.Context(), f.pool)
	assert.NilError(t, err)
	inside := f.inNamespace(t, "mount --make-rprivate /")
	assert.Assert(t, slices.Contains(pids("", facts.Device), inside), "a private copy of the host's mounts")
	assert.Equal(t, len(pids("", "0:0")), 0)
}
