package mounter_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/mounter"
)

func TestFilesBelow(t *testing.T) {
	shared := t.TempDir()
	radarr, sonarr := filepath.Join(shared, "radarr"), filepath.Join(shared, "sonarr")
	for _, folder := range []string{radarr, sonarr, filepath.Join(shared, ".own", "x")} {
		assert.NilError(t, os.MkdirAll(folder, 0o755))
	}
	assert.NilError(t, os.WriteFile(filepath.Join(shared, "file"), nil, 0o600))
	assert.NilError(t, os.Symlink("/etc", filepath.Join(shared, "link")))
	assert.NilError(t, mounter.FilesBelow(shared))
	assert.NilError(t, mounter.FilesBelow(filepath.Join(shared, "gone")))
	assert.ErrorContains(t, mounter.FilesBelow(filepath.Join(shared, "file")), "looking for files under the volumes' mounts: ")

	assert.NilError(t, os.WriteFile(filepath.Join(radarr, "radarr.db"), nil, 0o600))
	err := mounter.FilesBelow(shared)
	assert.ErrorIs(t, err, syscall.ENOTEMPTY)
	assert.ErrorContains(t, err, "the folder "+radarr+" under the mount")
	assert.NilError(t, os.Mkdir(filepath.Join(sonarr, "written"), 0o700))
	err = mounter.FilesBelow(shared)
	assert.ErrorContains(t, err, "2 problems:\n- the folder "+radarr)
	assert.ErrorContains(t, err, "\n- the folder "+sonarr)
}

// A volume that is mounted has files, and is no bare folder with files, from wherever it is looked at: in the plugin's namespace, through
// the host's, of which this process has no table, by a link, and where the mount is not seen at all.
func TestFilesBelowWhileAVolumeIsMounted(t *testing.T) {
	f := newFixture(t)
	assert.NilError(t, os.WriteFile(filepath.Join(f.poolFolder(t, "below"), "row"), nil, 0o600))
	target := f.target(t)
	assert.NilError(t, f.Bind(t.Context(), mounter.Bind{Base: f.pool, Subdir: "below", Target: target}))
	link := filepath.Join(t.TempDir(), "link")
	assert.NilError(t, os.Symlink(f.options.TargetRoot, link))
	host := f.HostPath(filepath.Join(f.folder, "propagated-mount"))
	for _, shared := range []string{f.options.TargetRoot, link, host} {
		_, err := os.Stat(filepath.Join(shared, t.Name(), "row"))
		assert.NilError(t, err)
		assert.NilError(t, mounter.FilesBelow(shared))
	}
	unseen := filepath.Join(f.folder, "propagated-mount")
	_, err := os.Stat(filepath.Join(unseen, t.Name(), "row"))
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.NilError(t, mounter.FilesBelow(unseen))
	assert.NilError(t, f.Unmount(t.Context(), target))
}
