package mounter_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/mounter"
)

func TestFilesUnder(t *testing.T) {
	folder := t.TempDir()
	assert.NilError(t, mounter.FilesUnder(folder))
	assert.NilError(t, mounter.FilesUnder("/proc"), "a mount")
	assert.ErrorIs(t, mounter.FilesUnder(filepath.Join(folder, "gone")), fs.ErrNotExist)
	assert.NilError(t, os.WriteFile(filepath.Join(folder, "radarr.db"), nil, 0o600))
	err := mounter.FilesUnder(folder)
	assert.ErrorIs(t, err, syscall.ENOTEMPTY)
	assert.ErrorContains(t, err, "the folder "+folder+" under the mount")
}
