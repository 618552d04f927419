package directory_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend/internal/directory"
)

func openRoot(t *testing.T) (*os.Root, string) {
	t.Helper()
	path := t.TempDir()
	root, err := os.OpenRoot(path)
	assert.NilError(t, err)
	t.Cleanup(func() { _ = root.Close() })
	return root, path
}

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"radarr": "radarr", "a/b": "a/b", "a//b/": "a/b", "./a": "a", "": "", "Ä ö/…": "Ä ö/…", "..a": "..a",
	} {
		got, err := directory.Clean(text)
		assert.NilError(t, err, "%q", text)
		assert.Equal(t, got, want)
		assert.Assert(t, directory.IsClean(got))
	}
	for text, want := range map[string]string{
		"/a":                       "relative",
		"../../etc":                `must not hold ".."`,
		"a/..":                     `must not hold ".."`,
		"a\x00b":                   "control character",
		"a\xffb":                   "UTF-8",
		"${APP}/config":            "variable",
		strings.Repeat("x", 256):   "256 bytes",
		strings.Repeat("x/", 17):   "17 levels",
		strings.Repeat("xxx ", 63): "",
	} {
		_, err := directory.Clean(text)
		if want == "" {
			assert.NilError(t, err)
			continue
		}
		assert.ErrorContains(t, err, want)
		assert.Assert(t, !directory.IsClean(text))
	}
	assert.Assert(t, !directory.IsClean("a/"))
}

func TestIDsAndPaths(t *testing.T) {
	assert.Assert(t, directory.IsID("0123456789abcdef0123456789abcdef"))
	assert.Assert(t, !directory.IsID("0123456789ABCDEF0123456789abcdef"))
	assert.Assert(t, !directory.IsID("../3456789abcdef0123456789abcdef"))
	assert.Assert(t, directory.Beneath("/a/b", "/a"))
	assert.Assert(t, directory.Beneath("/a", "/"))
	assert.Assert(t, !directory.Beneath("/ab", "/a"))
}

func TestMakeGivesOwnerAndModeToTheLastDirectoryOnly(t *testing.T) {
	root, path := openRoot(t)
	owner := directory.Owner{UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Mode: 0o2770}
	assert.NilError(t, directory.Make(root, "a/b", owner))
	info, err := os.Stat(filepath.Join(path, "a/b"))
	assert.NilError(t, err)
	assert.Equal(t, info.Mode(), fs.ModeDir|fs.ModeSetgid|0o770)
	above, err := os.Stat(filepath.Join(path, "a"))
	assert.NilError(t, err)
	assert.Equal(t, above.Mode().Perm(), fs.FileMode(0o755))
	assert.NilError(t, directory.Make(root, "a/b", owner), "repeated")
	exists, err := directory.Exists(root, "a/b")
	assert.NilError(t, err)
	assert.Assert(t, exists)
	exists, err = directory.Exists(root, "a/c/d")
	assert.NilError(t, err)
	assert.Assert(t, !exists)
}

func TestNoComponentMayBeALink(t *testing.T) {
	root, path := openRoot(t)
	outside := t.TempDir()
	assert.NilError(t, os.Mkdir(filepath.Join(path, "real"), 0o755))
	assert.NilError(t, os.Symlink("real", filepath.Join(path, "inside")))
	assert.NilError(t, os.Symlink(outside, filepath.Join(path, "outside")))
	assert.NilError(t, os.WriteFile(filepath.Join(path, "file"), nil, 0o600))
	for name, want := range map[string]error{"inside": directory.ErrLink, "outside": directory.ErrLink, "file": directory.ErrNotDirectory} {
		_, err := directory.Open(root, name)
		assert.ErrorIs(t, err, want)
		assert.ErrorContains(t, err, `"`+name+`"`)
		assert.ErrorIs(t, directory.MakeAll(root, name+"/x"), want)
		assert.ErrorIs(t, directory.Make(root, name, directory.Owner{}), want)
		assert.ErrorIs(t, directory.Delete(t.Context(), root, name), want)
	}
	assertEmpty(t, outside)
	assertEmpty(t, filepath.Join(path, "real"))
}

// A container exchanges a directory for a link as fast as it can: nothing may ever be made where the link points.
func TestSwappedDirectoryIsNeverLeft(t *testing.T) {
	root, path := openRoot(t)
	outside := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_ = os.Mkdir(filepath.Join(path, "a"), 0o755)
			_ = os.Rename(filepath.Join(path, "a"), filepath.Join(path, "b"))
			_ = os.Symlink(outside, filepath.Join(path, "a"))
			_ = os.Remove(filepath.Join(path, "a"))
			_ = os.Symlink("b", filepath.Join(path, "a"))
			_ = os.Remove(filepath.Join(path, "a"))
			_ = os.RemoveAll(filepath.Join(path, "b"))
		}
	}()
	failed := 0
	for range 3000 {
		if err := directory.Make(root, "a/x", directory.Owner{UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Mode: 0o700}); err != nil {
			failed++
		}
		_ = directory.Delete(t.Context(), root, "a")
	}
	stop()
	<-done
	assertEmpty(t, outside)
	t.Logf("measured: %d of 3000 calls met a swap", failed)
}

func TestDeleteFollowsNoLinkAndGoesDeep(t *testing.T) {
	root, path := openRoot(t)
	outside := t.TempDir()
	assert.NilError(t, os.WriteFile(filepath.Join(outside, "precious"), nil, 0o600))
	deep := root
	for range 300 {
		assert.NilError(t, deep.MkdirAll("v/d", 0o755))
		assert.NilError(t, deep.Symlink(outside, "v/link"))
		next, err := deep.OpenRoot("v/d")
		assert.NilError(t, err)
		defer func() { _ = next.Close() }()
		deep = next
	}
	for i := range 1000 {
		assert.NilError(t, os.WriteFile(filepath.Join(path, "v", "file-"+strings.Repeat("x", i%200)), nil, 0o600))
	}
	assert.NilError(t, directory.Delete(t.Context(), root, "v"))
	assertEmpty(t, path)
	assert.NilError(t, directory.Delete(t.Context(), root, "v"), "repeated")
	_, err := os.Stat(filepath.Join(outside, "precious"))
	assert.NilError(t, err)
}

func TestDeleteStopsWithItsContext(t *testing.T) {
	root, path := openRoot(t)
	assert.NilError(t, os.MkdirAll(filepath.Join(path, "v/a"), 0o755))
	ctx, stop := context.WithCancel(t.Context())
	stop()
	err := directory.Delete(ctx, root, "v")
	assert.Assert(t, errors.Is(err, context.Canceled), "%v", err)
	_, err = os.Stat(filepath.Join(path, "v/a"))
	assert.NilError(t, err)
}

func assertEmpty(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(path)
	assert.NilError(t, err)
	assert.Equal(t, len(entries), 0, "%v", entries)
}
