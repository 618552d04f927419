package ocfs2_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// unmounted has a pool that somebody unmounted at its path, and that the host's mount(8) mounts as the kernel does: without the helper
// (-i) as long as its file system is alive.
func unmounted(t *testing.T, alive bool) (*bench, func() []string) {
	t.Helper()
	b, runs := maintained(t)
	b.kernel.UnmountHost(poolPath)
	b.kernel.SetProgram("mount", func(_ context.Context, command mounter.Command) (mounter.Output, error) {
		if raw := command.Args[0] == "-i"; raw && !alive {
			return mounter.Output{Code: 32, Stderr: "mount: /mnt/iscsi/media-apps: mount point busy.\n"}, nil
		} else if !raw && alive {
			t.Error("a second mount.ocfs2 leaks a reference to the heartbeat")
		}
		b.kernel.MountHost(poolPath, disk())
		b.cluster(true)
		return mounter.Output{}, nil
	})
	before := len(runs())
	return b, func() []string {
		return slices.DeleteFunc(runs()[before:], func(line string) bool { return !strings.HasPrefix(line, "mount ") })
	}
}

// A volume in use keeps the file system when the pool is unmounted at its path. The pool comes back without a second heartbeat.
func TestPoolThatIsStillAliveIsMountedAgain(t *testing.T) {
	for name, spoil := range map[string]func(b *bench){
		"a volume in use": func(b *bench) {
			b.kernel.SetUsers("/dev/sdb", mounter.User{PID: 7, Name: "app", Target: "/data"})
		},
		"unmounted lazily": func(*bench) {},
		"options of the file system, which has": func(b *bench) {
			b.settings.Pools[0].MountOptions = []string{"heartbeat=local", "noatime", "data=ordered"}
		},
		"a heartbeat that cannot be asked for": func(b *bench) {
			b.settings.Pools[0].Device = "LABEL=media-apps"
			b.kernel.SetProgram("blkid", func(_ context.Context, command mounter.Command) (mounter.Output, error) {
				if command.Args[0] == "-L" {
					return mounter.Output{Stdout: "/dev/sdb\n"}, nil
				}
				return mounter.Output{Code: 8}, nil
			})
			b.kernel.SetUsers("/dev/sdb", mounter.User{PID: 7, Name: "app", Target: "/data"})
		},
		"a volume of class backup": func(b *bench) {
			b.kernel.MountHost("/var/lib/docker/plugins/1/propagated-mount/backup", disk())
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, mounts := unmounted(t, true)
			spoil(b)
			_, err := b.backend.Prove(t.Context(), "media-apps")
			assert.NilError(t, err)
			assert.DeepEqual(t, mounts(), []string{"mount -i -t ocfs2 -o noatime /dev/sdb " + poolPath})
		})
	}
}

// A heartbeat without a file system is what an earlier second mount has left.
func TestPoolWithALeftoverHeartbeatIsMounted(t *testing.T) {
	b, mounts := unmounted(t, false)
	_, err := b.backend.Prove(t.Context(), "media-apps")
	assert.NilError(t, err)
	assert.DeepEqual(t, mounts(), []string{"mount -i -t ocfs2 -o noatime /dev/sdb " + poolPath, "mount -t ocfs2 -o noatime /dev/sdb " + poolPath})
}

// One that has made itself read-only, for example, cannot be mounted a second time. An uninstallation still knows that it is up.
func TestPoolThatIsStillAliveAndCannotBeMounted(t *testing.T) {
	b, mounts := unmounted(t, false)
	b.kernel.SetUsers("/dev/sdb", mounter.User{PID: 7, Name: "app", Target: "/data"})
	_, err := b.backend.Prove(t.Context(), "media-apps")
	assert.Error(t, err, "pool media-apps: it is not mounted at /mnt/iscsi/media-apps any more, but something on this node still has it, and it cannot be mounted there again "+
		"(mount: /mnt/iscsi/media-apps: mount point busy.); `docker homelab drain media-apps --stop` stops the containers that use it, and mounts it again: process 7, app (it has it mounted at /data)")
	assert.Assert(t, errors.Is(err, backend.ErrUnavailable))
	assert.DeepEqual(t, mounts(), []string{"mount -i -t ocfs2 -o noatime /dev/sdb " + poolPath})
	b.cluster(false)
	b.kernel.SetUsers("/dev/sdb")
	b.backend.Refuse("media-apps", b.now, true)
	lines, err := b.backend.Leave(t.Context(), "media-apps")
	assert.NilError(t, err)
	assert.DeepEqual(t, lines, []string{"Unmounted pool media-apps from /mnt/iscsi/media-apps; its heartbeat has ended."})
}

// A disk is known by its number where it has several names.
func TestDiskWithSeveralNames(t *testing.T) {
	b, _ := maintained(t)
	folder := b.kernel.HostPath("/sys/class/block/sdb")
	assert.NilError(t, os.MkdirAll(folder, 0o755))
	assert.NilError(t, os.WriteFile(filepath.Join(folder, "dev"), []byte(b.deviceAt(t, poolPath)+"\n"), 0o600))
	b.kernel.SetUsers(b.deviceAt(t, poolPath), mounter.User{PID: 8, Name: "backup", Target: "/host" + poolPath})
	b.backend.Refuse("media-apps", b.now, true)
	assert.ErrorContains(t, b.backend.Lower(t.Context(), "media-apps"), "stop process 8, backup (it has it mounted at /host/mnt/iscsi/media-apps)")

	b.backend.Admit("media-apps")
	b.kernel.MountHost("/mnt/old", mountertest.FileSystem{Type: "ocfs2", UUID: uuid, Source: "/dev/mapper/media-apps"})
	b.settings.Pools[0].Device = "/dev/sdb"
	assert.NilError(t, os.MkdirAll(b.kernel.HostPath("/dev"), 0o755))
	assert.NilError(t, os.WriteFile(b.kernel.HostPath("/dev/sdb"), nil, 0o600))
	_, err := b.backend.Prove(t.Context(), "media-apps")
	assert.ErrorContains(t, err, "its disk /dev/sdb is mounted at /mnt/old")
}
