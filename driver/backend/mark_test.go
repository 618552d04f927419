package backend_test

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

func TestMark(t *testing.T) {
	private := t.TempDir()
	_, has, err := backend.ReadMark(private, "media/radarr", "id1")
	assert.NilError(t, err)
	assert.Assert(t, !has)
	assert.NilError(t, backend.WriteMark(private, backend.Mark{Volume: "id1", Subdir: "media/radarr"}))
	assert.NilError(t, backend.WriteMark(private, backend.Mark{Volume: "id1", Subdir: "media/radarr"}))
	_, has, err = backend.ReadMark(private, "media/radarr", "id1")
	assert.NilError(t, err)
	assert.Assert(t, has)
	_, has, err = backend.ReadMark(private, "media/radarr", "id2")
	assert.NilError(t, err)
	assert.Assert(t, !has, "another volume's mark is none")
	file := filepath.Join(private, "holders", backend.DirectoryKey("media/radarr"), "mark-id1")
	text, err := os.ReadFile(file)
	assert.NilError(t, err)
	assert.Equal(t, string(text), `{"version":1,"volume":"id1","subdir":"media/radarr"}`+"\n")
	assert.NilError(t, backend.RemoveMark(private, "media/radarr", "id1"))
	assert.NilError(t, backend.RemoveMark(private, "media/radarr", "id1"))
	_, err = os.Stat(file)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestMarkRefuses(t *testing.T) {
	private := t.TempDir()
	for _, id := range []string{"", ".", "..", "../../x", "a/b"} {
		assert.ErrorContains(t, backend.WriteMark(private, backend.Mark{Volume: id, Subdir: "radarr"}), "cannot name a mark")
	}
	missing := filepath.Join(private, "away")
	assert.ErrorIs(t, backend.WriteMark(missing, backend.Mark{Volume: "id", Subdir: "radarr"}), os.ErrNotExist)
	_, err := os.Stat(missing)
	assert.ErrorIs(t, err, os.ErrNotExist, "a pool that is away is not replaced by a folder")
}
