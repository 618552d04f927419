package engine

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"
)

// What a container wrote under a mount would be removed with the version that is replaced: as long as it is there, none is. A container that
// starts at the moment at which the plugin is disabled, or while the new version starts, may write then.
func TestUpgradeKeepsFilesUnderAMount(t *testing.T) {
	for title, row := range map[string]struct {
		folder  bool
		fails   map[string]string
		when    string // the call at which the files come; they are there before when it is ""
		id      string // the plugin that has them
		want    []string
		version string
		problem string
		stopped bool
	}{
		"from a registry": {
			id: "id1", version: "old", problem: "nothing was changed: files would be lost with the version that is replaced: the folder ",
		},
		"from a folder": {
			folder: true, id: "id1", version: "old", problem: "nothing was changed: files would be lost with the version that is replaced: the folder ",
		},
		"from a registry, disabled": {
			when: "POST disable", id: "id1", want: calls(disable, sets, "POST enable"), version: "old",
			problem: "the upgrade failed, and the old version of homelab-storage:latest is enabled again: files would be lost",
		},
		"from a folder, disabled": {
			folder: true, when: "POST disable", id: "id1", want: calls(disable, sets, "POST enable"), version: "old",
			problem: "the upgrade failed, and the old version of homelab-storage:latest is enabled again: files would be lost",
		},
		"from a registry, a version that does not start": {
			fails: map[string]string{"POST enable#1": "dial failed"}, when: "POST enable", id: "id1",
			want: calls(disable, pull, sets, "POST enable", disable, recorded), version: "new", stopped: true,
			problem: "until one does (when nothing is in the way of that: docker homelab upgrade, to a version that starts). Containers run on. " +
				"The upgrade: enabling homelab-storage:latest: Error response from daemon: dial failed; the way back: files would be lost",
		},
		"from a folder, a version that does not start": {
			folder: true, fails: map[string]string{"POST enable#1": "dial failed"}, when: "POST enable", id: "id2",
			want: calls(disable, replace, sets, "POST enable", disable, recorded), version: "new", stopped: true,
			problem: "the way back: files would be lost",
		},
	} {
		t.Run(title, func(t *testing.T) {
			m := &manager{fails: row.fails}
			e := manage(t, m)
			volume := filepath.Join(m.root, "plugins", row.id, "propagated-mount", "radarr")
			write := func(call string) {
				if call == row.when {
					assert.Check(t, os.MkdirAll(filepath.Join(volume, "written"), 0o700))
				}
			}
			write("")
			m.before = write
			from := image
			if row.folder {
				from = filepath.Join(t.TempDir(), "plugin")
				plugin(t, from, "new")
			}
			had, err := e.Settings(t.Context(), name)
			assert.NilError(t, err)
			err = e.Upgrade(t.Context(), name, from, UpgradeOptions{
				Settings:  had,
				Disabling: func() { m.calls = append(m.calls, recorded) },
				Say:       func(string, ...any) {},
			})
			assert.ErrorIs(t, err, syscall.ENOTEMPTY)
			assert.ErrorContains(t, err, row.problem)
			assert.ErrorContains(t, err, "the folder "+volume+" under the mount, on this node's root disk, is not empty")
			assert.DeepEqual(t, m.calls, row.want)
			assert.Equal(t, m.version, row.version)
			assert.Equal(t, errors.Is(err, ErrDown), row.stopped)
			assert.Equal(t, m.enabled, !row.stopped)
			_, err = os.Stat(filepath.Join(volume, "written"))
			assert.NilError(t, err)
		})
	}
}

// Empty folders, and those of other plugins, are in nobody's way.
func TestUpgradeWithoutFilesUnderAMount(t *testing.T) {
	for _, from := range []string{image, "folder"} {
		m := &manager{}
		e := manage(t, m)
		for _, folder := range []string{"id1/propagated-mount/radarr", "other/propagated-mount/radarr/written"} {
			assert.NilError(t, os.MkdirAll(filepath.Join(m.root, "plugins", folder), 0o700))
		}
		if from != image {
			from = filepath.Join(t.TempDir(), "plugin")
			plugin(t, from, "new")
		}
		assert.NilError(t, e.Upgrade(t.Context(), name, from, UpgradeOptions{Disabling: func() {}, Say: func(string, ...any) {}}))
		assert.Equal(t, m.version, "new")
	}
}
