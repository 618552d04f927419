package driver_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

func TestLeaveIsRefusedWhileAVolumeIsUsed(t *testing.T) {
	b := newBench(t)
	b.create(t, "radarr", map[string]string{"class": "db"})
	target := b.mount(t, "radarr", "a")
	b.kernel.SetUsers(target, mounter.User{PID: 7, Name: "Radarr", Target: "/config"})
	_, err := b.driver.Leave(t.Context())
	assert.Error(t, err, `volume "radarr" is used by process 7 (Radarr), at /config: stop it`)
	assert.Equal(t, len(b.pool.Calls()), 0)
	b.mount(t, "radarr", "b")
}

// A drained pool may be under repair: an uninstallation that fails does not have it mounted again.
func TestLeaveKeepsADrainedPoolOut(t *testing.T) {
	b := newBench(t)
	b.create(t, "radarr", map[string]string{"class": "db"})
	_, err := b.drain(t, driver.DrainOptions{Hold: true})
	assert.NilError(t, err)
	b.pool.Fail("leave", errors.New("the iSCSI session is still there"))
	_, err = b.driver.Leave(t.Context())
	assert.ErrorContains(t, err, "the iSCSI session is still there")
	assert.Assert(t, b.pool.Refuses("media-apps", true))
	_, err = b.driver.Mount(t.Context(), "radarr", "a", engine())
	assert.ErrorIs(t, err, errAway)
}

// What a drain does, and above all its check of the disk, is not cut off.
func TestLeaveWaitsForADrain(t *testing.T) {
	b := newBench(t)
	b.create(t, "radarr", map[string]string{"class": "db"})
	var refused error
	b.pool.OnRefuse = func() {
		b.pool.OnRefuse = nil
		_, refused = b.driver.Leave(t.Context())
	}
	_, err := b.drain(t, driver.DrainOptions{})
	assert.NilError(t, err)
	assert.Error(t, refused, "pool media-apps is being drained now; wait until that has ended (docker homelab drain media-apps shows it)")
	assert.Assert(t, !slices.Contains(b.pool.Calls(), "leave"))
	b.mount(t, "radarr", "a")
}

// Pools may share an iSCSI session.
func TestLeaveUnmountsAllPoolsBeforeASessionEnds(t *testing.T) {
	b := newBench(t)
	now := configured()
	now.Pools = append(now.Pools, settings.Pool{Name: besideName, Path: besidePath})
	b.source.now.Store(now)
	_, err := b.driver.Leave(t.Context())
	assert.NilError(t, err)
	calls := slices.DeleteFunc(b.pool.Calls(), func(call string) bool { return call != "leave" && call != "disconnect" })
	assert.DeepEqual(t, calls, []string{"leave", "leave", "disconnect", "disconnect"})
}

// Files in the folder of a mount would be deleted with the plugin.
func TestLeaveKeepsFilesUnderAMount(t *testing.T) {
	b := newBench(t)
	empty, full := filepath.Join(b.options.MountRoot, "empty"), filepath.Join(b.options.MountRoot, "radarr")
	assert.NilError(t, os.MkdirAll(empty, 0o700))
	assert.NilError(t, os.MkdirAll(full, 0o700))
	assert.NilError(t, os.WriteFile(filepath.Join(full, "radarr.db"), nil, 0o600))
	_, err := b.driver.Leave(t.Context())
	assert.ErrorIs(t, err, syscall.ENOTEMPTY)
	assert.ErrorContains(t, err, `volume "radarr": `)
	assert.Assert(t, !slices.Contains(b.pool.Calls(), "leave"))
	_, err = os.Stat(empty)
	assert.ErrorIs(t, err, os.ErrNotExist)
	b.create(t, "sonarr", map[string]string{"class": "db"})
	b.mount(t, "sonarr", "a")
	assert.NilError(t, b.driver.Unmount(t.Context(), "sonarr", "a"))
	assert.NilError(t, os.Rename(full, filepath.Join(b.kernel.Temp(), "found")))
	_, err = b.driver.Leave(t.Context())
	assert.NilError(t, err)
}

func TestLeaveTakesEverythingAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.create(t, "radarr", map[string]string{"class": "db"})
		b.mount(t, "radarr", "a")
		assert.NilError(t, b.driver.Unmount(t.Context(), "radarr", "a"))
		b.kernel.MountPlugin(filepath.Join(b.options.MountRoot, "stray"), mountertest.FileSystem{Type: "tmpfs"})
		b.pool.Fail("leave", errors.New("pool media-apps: it cannot be unmounted"))
		_, err := b.driver.Leave(t.Context())
		assert.Error(t, err, "pool media-apps: it cannot be unmounted")
		assert.Assert(t, !b.pool.Refuses("media-apps", false), "it works on")
		b.mount(t, "radarr", "b")
		assert.NilError(t, b.driver.Unmount(t.Context(), "radarr", "b"))

		b.pool.Fail("leave", nil)
		lines, err := b.driver.Leave(t.Context())
		assert.NilError(t, err)
		assert.DeepEqual(t, lines, []string{"No volume is mounted on this node any more.", "Unmounted media-apps."})
		table, err := b.kernel.Table(t.Context(), mounter.Plugin)
		assert.NilError(t, err)
		assert.Assert(t, !slices.ContainsFunc(table, func(m mounter.Mount) bool { return filepath.Dir(m.Target) == b.options.MountRoot }))
		_, err = b.driver.Mount(t.Context(), "radarr", "c", engine())
		assert.ErrorContains(t, err, "homelab-storage is being uninstalled from this node")
		_, err = b.undrain(t)
		assert.ErrorContains(t, err, "homelab-storage is being uninstalled from this node")
	})
}
