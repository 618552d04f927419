package guard_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/guard"
)

const sqlite = "SQLite format 3\x00"

func TestAmongFindsTheDatabase(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	write(t, outside, "real.db", sqlite)
	write(t, root, "film.mkv", "\x1aE\xdf\xa3")
	write(t, root, "Thumbs.db", "not a database")
	write(t, root, "app/Cookies", sqlite)
	write(t, root, "state/MANIFEST-000001", "")
	write(t, root, "lone/MANIFEST-000001", "")
	write(t, root, "state/CURRENT", "MANIFEST-000001\n")
	assert.NilError(t, os.Symlink(filepath.Join(outside, "real.db"), filepath.Join(root, "link.db")))
	assert.NilError(t, syscall.Mkfifo(filepath.Join(root, "pipe.db"), 0o600))
	for _, c := range []struct {
		names []string
		want  guard.Finding
	}{
		{[]string{"film.mkv", "Thumbs.db", "gone.db", "link.db", "pipe.db", "lone/MANIFEST-000001", "app", "../" + filepath.Base(outside) + "/real.db"}, guard.Finding{}},
		{[]string{"film.mkv", "app/Cookies"}, guard.Finding{Path: "app/Cookies", Kind: guard.SQLite}},
		{[]string{"state/MANIFEST-000001"}, guard.Finding{Path: "state/MANIFEST-000001", Kind: guard.LevelDB}},
	} {
		found, err := guard.Among(t.Context(), root, c.names)
		assert.NilError(t, err)
		assert.Equal(t, found, c.want)
	}
	_, err := guard.Among(t.Context(), filepath.Join(root, "none"), []string{"x"})
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// Of a torrent client's many open files the likely ones are looked at, and no more than some.
func TestAmongIsBounded(t *testing.T) {
	root := t.TempDir()
	var names []string
	for i := range 100 {
		name := fmt.Sprintf("part-%03d", i)
		write(t, root, name, "data")
		names = append(names, name)
	}
	write(t, root, "last", sqlite)
	found, err := guard.Among(t.Context(), root, append(names, "last"))
	assert.NilError(t, err)
	assert.Equal(t, found, guard.Finding{})
	write(t, root, "last.db", sqlite)
	found, err = guard.Among(t.Context(), root, append(names, "last.db"))
	assert.NilError(t, err)
	assert.Equal(t, found.Path, "last.db")
}

func TestThoroughOpensOnlyLikelyNames(t *testing.T) {
	root := t.TempDir()
	write(t, root, "a/film.mkv", sqlite)
	got, err := guard.Scan(t.Context(), root, guard.Thorough())
	assert.NilError(t, err)
	assert.Equal(t, got, guard.Result{Complete: true})
	write(t, root, "a/b/c/d/e/app.sqlite", sqlite)
	got, err = guard.Scan(t.Context(), root, guard.Thorough())
	assert.NilError(t, err)
	assert.Equal(t, got.Found, guard.Finding{Path: "a/b/c/d/e/app.sqlite", Kind: guard.SQLite})
}
