package catalog_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/catalog"
)

// A node is told before whether Attach takes up another catalog than the one that it knows; nothing is taken up by asking.
func TestReplaces(t *testing.T) {
	foreign := func(t *testing.T, _ *node, shared string) {
		t.Helper()
		clearFolder(t, shared)
		newNode(t, shared).put(t, record("foreign"))
	}
	header := func(shared string) string { return filepath.Join(shared, "catalog.json") }
	for name, situation := range map[string]struct {
		spoil func(t *testing.T, n *node, shared string)
		want  bool
	}{
		"the same":         {spoil: func(*testing.T, *node, string) {}},
		"formatted anew":   {want: true, spoil: func(t *testing.T, _ *node, shared string) { t.Helper(); clearFolder(t, shared) }},
		"another catalog":  {want: true, spoil: foreign},
		"it knows volumes": {spoil: func(t *testing.T, n *node, shared string) { t.Helper(); n.put(t, record("aa")); foreign(t, n, shared) }},
		"catalog.json lost": {spoil: func(t *testing.T, n *node, shared string) {
			t.Helper()
			foreign(t, n, shared)
			assert.NilError(t, os.Remove(header(shared)))
		}},
		"catalog.json damaged": {spoil: func(t *testing.T, _ *node, shared string) {
			t.Helper()
			assert.NilError(t, os.WriteFile(header(shared), []byte(`{"version":1,`), 0o600))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			shared := sharedFolder(t)
			n := newNode(t, shared)
			situation.spoil(t, n, shared)
			n = n.reopen(t)
			before := n.State()
			got, err := n.Replaces(t.Context(), shared)
			assert.NilError(t, err)
			assert.Equal(t, got, situation.want)
			assert.Equal(t, n.State(), before)
			err = n.Attach(t.Context(), shared)
			assert.Assert(t, err == nil || errors.Is(err, catalog.ErrFrozen), "%v", err)
			assert.Equal(t, n.State().UUID != before.UUID, situation.want, "as Attach does")
		})
	}
	n := openNode(t, options(t.TempDir(), &doer{}))
	got, err := n.Replaces(t.Context(), sharedFolder(t))
	assert.NilError(t, err)
	assert.Assert(t, !got, "it knows none yet")
}
