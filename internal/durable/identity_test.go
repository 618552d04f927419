package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"
)

func identity(t *testing.T, path string) string {
	t.Helper()
	id, err := open(t, path).Identity()
	assert.NilError(t, err)
	return id
}

// A directory keeps its identity when it is filled and moved; one that is made anew in its place has another.
func TestIdentity(t *testing.T) {
	folder := t.TempDir()
	path, moved := filepath.Join(folder, "radarr"), filepath.Join(folder, "moved")
	assert.NilError(t, os.Mkdir(path, 0o755))
	before := identity(t, path)
	assert.Assert(t, before != "")
	assert.NilError(t, os.WriteFile(filepath.Join(path, "radarr.db"), nil, 0o600))
	assert.NilError(t, os.Rename(path, moved))
	assert.Equal(t, identity(t, moved), before)
	assert.NilError(t, os.RemoveAll(moved))
	assert.NilError(t, os.Mkdir(path, 0o755)) // it may well get the inode's number
	assert.Assert(t, identity(t, path) != before)
}
