package catalog_test

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"
)

// What cannot be read is not missing: a change after a removal must not take that back, nor may a removed volume be listed again.
func TestTombstoneThatCannotBeRead(t *testing.T) {
	shared := sharedFolder(t)
	a, b := newNode(t, shared), newNode(t, shared)
	gone := a.put(t, record("gone"))
	assert.NilError(t, b.Refresh(t.Context()))
	assert.NilError(t, a.Remove(t.Context(), gone.ID))

	stones := filepath.Join(shared, "tombstones")
	assert.NilError(t, os.Rename(stones, stones+".away"))
	assert.NilError(t, os.Symlink("tombstones", stones)) // every read below it fails
	_, err := a.Put(t.Context(), record("next"))
	assert.ErrorContains(t, err, "a symbolic link is in the way")
	assert.Assert(t, b.Refresh(t.Context()) != nil)

	assert.NilError(t, os.Remove(stones))
	assert.NilError(t, os.Rename(stones+".away", stones))
	a.put(t, record("next"))
	assert.NilError(t, b.Refresh(t.Context()))
	assert.DeepEqual(t, b.names(), []string{"next"})
}
