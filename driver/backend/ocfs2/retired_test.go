package ocfs2_test

import (
	"context"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// A pool that was renamed while it was mounted is still the plugin's to unmount.
func TestRenamedPoolIsLeft(t *testing.T) {
	b, _ := maintained(t)
	b.settings.Pools[0].Name = "apps"
	assert.NilError(t, b.backend.Retired(t.Context()))
	b.backend.Refuse("apps", b.now, true)
	lines, err := b.backend.Leave(t.Context(), "apps")
	assert.NilError(t, err)
	assert.DeepEqual(t, lines, []string{"Unmounted pool apps from /mnt/iscsi/media-apps; its heartbeat has ended."})
	assert.NilError(t, b.backend.Retired(t.Context()))
	lines, err = b.backend.Leave(t.Context(), "apps")
	assert.NilError(t, err)
	assert.Equal(t, len(lines), 0, "%q", lines)
}

// One that was taken out of the configuration is named until somebody has unmounted it.
func TestRetiredPoolIsNamed(t *testing.T) {
	b, _ := maintained(t)
	b.settings.Pools = b.settings.Pools[1:]
	assert.Error(t, b.backend.Retired(t.Context()), "pool media-apps: the configuration does not name it any more, but it is still mounted at /mnt/iscsi/media-apps, by the plugin: unmount it (umount /mnt/iscsi/media-apps)")
	b.kernel.UnmountHost(poolPath)
	assert.NilError(t, b.backend.Retired(t.Context()))
}

// A pool that was unmounted, and whose NAS is gone for good, keeps nobody from uninstalling.
func TestLeaveWithoutTheNAS(t *testing.T) {
	b, _ := maintained(t)
	b.settings.Pools[0].ISCSI = &settings.ISCSI{Portal: "192.168.1.100", Target: target}
	b.kernel.UnmountHost(poolPath)
	b.cluster(false)
	b.kernel.SetProgram("blkid", program(2, "", ""))
	b.kernel.SetProgram("iscsiadm", func(context.Context, mounter.Command) (mounter.Output, error) {
		t.Error("the NAS is asked for")
		return mounter.Output{Code: 4}, nil
	})
	b.backend.Refuse("media-apps", b.now, true)
	_, err := b.backend.Leave(t.Context(), "media-apps")
	assert.NilError(t, err)
}

// What a drain unmounted is not unmounted by an uninstallation once more: the host may have mounted it since.
func TestDrainedPoolIsTheHosts(t *testing.T) {
	b, _ := maintained(t)
	b.backend.Refuse("media-apps", b.now, true)
	assert.NilError(t, b.backend.Lower(t.Context(), "media-apps"))
	b.kernel.MountHost(poolPath, disk())
	lines, err := b.backend.Leave(t.Context(), "media-apps")
	assert.NilError(t, err)
	assert.DeepEqual(t, lines, []string{"Left pool media-apps mounted at /mnt/iscsi/media-apps: the host mounted it, not the plugin."})
}
