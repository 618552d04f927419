package ocfs2_test

import (
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// A pool of an automount is mounted by who opens its path, and is no other file system before.
func TestAutomount(t *testing.T) {
	b := newBench(t)
	runs := install(b, true)
	b.kernel.MountHost(poolPath, mountertest.FileSystem{Type: "autofs", Source: "systemd-1"})
	opened := 0
	b.kernel.OnCall(func(action mountertest.Action) error {
		if action.Op == mountertest.OpFilesystem {
			if opened++; opened == 1 {
				b.cluster(true)
				b.kernel.MountHost(poolPath, disk())
			}
		}
		return nil
	})
	_, err := b.backend.Check(t.Context(), "media-apps")
	assert.ErrorContains(t, err, "it is not mounted: the automount of the host at /mnt/iscsi/media-apps mounts it when a volume of it is used")
	assert.Equal(t, opened, 0, "a look of the background has it mounted")
	create(t, b, volume("v", "v"))
	assert.Equal(t, len(runs()), 0, "the host mounts it, not the plugin")
	b.backend.Refuse("media-apps", b.now, true)
	assert.Error(t, b.backend.Lower(t.Context(), "media-apps"), "pool media-apps: the host has an automount at /mnt/iscsi/media-apps, which would mount it again, also under a check: stop that first "+
		`(systemctl stop "$(systemd-escape --path --suffix=automount /mnt/iscsi/media-apps)")`)
	b.backend.Admit("media-apps")

	b.kernel.MountHost(poolPath, mountertest.FileSystem{Type: "autofs", Source: "systemd-1"})
	_, err = b.backend.Prove(t.Context(), "media-apps")
	assert.ErrorContains(t, err, "autofs from systemd-1 is mounted at", "one over the pool would mount it a second time")
}

// A pool that hangs is nothing to another one, which is brought up meanwhile.
func TestBringUpBesideAPoolThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		install(b, true)
		changed := disk()
		changed.UUID, changed.Source = other, "/dev/sdx"
		b.kernel.MountHost("/mnt/iscsi/app-data", changed)
		hold := b.kernel.Hold(mountertest.OpFilesystem, "/mnt/iscsi/app-data")
		defer b.kernel.Release(hold)
		began := time.Now()
		create(t, b, volume("v", "v"))
		assert.Assert(t, time.Since(began) <= 3*time.Second, time.Since(began))
	})
}
