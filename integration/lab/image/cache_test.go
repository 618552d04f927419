package image

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"
)

func opened(t *testing.T, folder string) *cache {
	t.Helper()
	store, err := openCache(t.Context(), folder)
	assert.NilError(t, err)
	t.Cleanup(store.close)
	return store
}

func TestEntryIsBuiltOnce(t *testing.T) {
	store := opened(t, t.TempDir())
	built := 0
	for range 2 {
		path, err := store.entry("tree-1", func(out string) error {
			built++
			return os.WriteFile(filepath.Join(out, "file"), []byte("content"), 0o600)
		})
		assert.NilError(t, err)
		content, err := os.ReadFile(filepath.Join(path, "file"))
		assert.NilError(t, err)
		assert.Equal(t, string(content), "content")
	}
	assert.Equal(t, built, 1)
}

// What a failed or killed build left must never be taken for an entry.
func TestEntryThatFailedIsBuiltAgain(t *testing.T) {
	store := opened(t, t.TempDir())
	_, err := store.entry("tree-1", func(out string) error {
		assert.NilError(t, os.WriteFile(filepath.Join(out, "half"), nil, 0o600))
		return errors.New("no network")
	})
	assert.ErrorContains(t, err, "no network (what was built so far is in "+filepath.Join(store.root.Name(), "tmp-tree-1"))
	path, err := store.entry("tree-1", func(string) error { return nil })
	assert.NilError(t, err)
	left, err := os.ReadDir(path)
	assert.NilError(t, err)
	assert.Equal(t, len(left), 0)
}

func TestOneBuilderAtATime(t *testing.T) {
	folder := t.TempDir()
	store, err := openCache(t.Context(), folder)
	assert.NilError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*lockPoll)
	defer cancel()
	_, err = openCache(ctx, folder)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "another process builds in "+folder)
	store.close()
	opened(t, folder)
}

func TestPruneSparesImagesInUse(t *testing.T) {
	store := opened(t, t.TempDir())
	for _, name := range []string{"image-current", "image-used", "image-old", "tree-old", "tmp-image-x", "runs"} {
		assert.NilError(t, store.root.Mkdir(name, 0o755))
	}
	for _, name := range []string{"agent-current", "agent-old", "accelerator"} {
		assert.NilError(t, store.root.WriteFile(name, nil, 0o600))
	}
	used, err := share(filepath.Join(store.root.Name(), "image-used"))
	assert.NilError(t, err)
	assert.NilError(t, store.prune("image-current", "agent-current"))
	assert.DeepEqual(t, names(t, store), []string{
		"accelerator", "agent-current", "build.lock", "image-current", "image-used", "runs",
	})
	assert.NilError(t, used.Close())
	assert.NilError(t, store.prune("image-current", "agent-current"))
	assert.DeepEqual(t, names(t, store), []string{"accelerator", "agent-current", "build.lock", "image-current", "runs"})
}

func names(t *testing.T, store *cache) []string {
	t.Helper()
	entries, err := os.ReadDir(store.root.Name())
	assert.NilError(t, err)
	var found []string
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	return found
}

// The key must change with everything that goes into an image, and with nothing else.
func TestKey(t *testing.T) {
	assert.Equal(t, key("a", "b"), key("a", "b"))
	assert.Assert(t, key("a", "b") != key("b", "a"))
	assert.Assert(t, key("ab") != key("a", "b"))
	assert.Assert(t, digest("guest") != digest("build"))
	assert.Equal(t, digest("guest"), digest("guest"))
}
