package ocfs2_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/settings"
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

// addDisk makes a device of the host.
func (b *bench) addDisk(device string) {
	path := b.kernel.HostPath(device)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o600)); err != nil {
		panic(err)
	}
}

// A volume in use keeps the file system when the pool is unmounted at its path. The pool comes back without a second heartbeat.
func TestPoolThatIsStillAliveIsMountedAgain(t *testing.T) {
	for name, spoil := range map[string]func(b *bench){
		"a volume in use": func(b *bench) {
			b.cluster(false)
			b.kernel.SetUsers("/dev/sdb", mounter.User{PID: 7, Name: "app", Target: "/data"})
		},
		"unmounted lazily": func(*bench) {},
		"options of the file system, which has": func(b *bench) {
			b.settings.Pools[0].MountOptions = []string{"heartbeat=local", "noatime", "data=ordered"}
		},
		"a disk that does not tell what it is": func(b *bench) {
			b.settings.Pools[0].Device = "/dev/sdb"
			b.addDisk("/dev/sdb")
			b.kernel.SetProgram("blkid", program(8, "", "blkid: ambivalent result\n"))
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
	b.addDisk("/dev/sdb")
	_, err := b.backend.Prove(t.Context(), "media-apps")
	assert.ErrorContains(t, err, "its disk /dev/sdb is mounted at /mnt/old")
}

// What was mounted is known to have gone by its own UUID, whatever blkid says of the disk: an old signature of LVM makes it say nothing.
func TestLoweredPoolHasLeftTheNode(t *testing.T) {
	const (
		byID     = "/dev/disk/by-id/wwn-0x1"
		remains  = "pool media-apps: it is not mounted at /mnt/iscsi/media-apps any more, but something on this node still has it: "
		goesOn   = remains + "its heartbeat goes on, and nobody has it mounted"
		unmounts = false
		stays    = true
	)
	never := func(t *testing.T) *bench { // a pool that is not mounted
		t.Helper()
		b := newBench(t)
		b.cluster(true)
		return b
	}
	mounted := func(t *testing.T) *bench { t.Helper(); b, _ := maintained(t); return b }
	byHost := func(t *testing.T) *bench { // and the plugin has not looked at it
		t.Helper()
		b := mountedBench(t)
		b.cluster(true)
		return b
	}
	for name, row := range map[string]struct {
		bench  func(t *testing.T) *bench
		device string
		beats  bool // after umount(8)
		blkid  mountertest.Program
		spoil  func(t *testing.T, b *bench)
		want   string
	}{
		"gone":                 {bench: mounted, device: byID, beats: unmounts, blkid: program(8, "", "")},
		"gone, by its label":   {bench: mounted, device: "LABEL=x", beats: unmounts, blkid: program(2, "", "")},
		"a private copy":       {bench: mounted, device: byID, beats: stays, blkid: program(8, "", ""), spoil: privateCopy(byID), want: remains + "stop process 8, backup (it has it mounted at /host)"},
		"only a private copy":  {bench: mounted, device: byID, beats: unmounts, blkid: program(2, "", ""), spoil: privateCopy(byID), want: remains + "stop process 8, backup (it has it mounted at /host)"},
		"a heartbeat":          {bench: mounted, device: byID, beats: stays, blkid: program(2, "", ""), want: goesOn},
		"a heartbeat, no disk": {bench: mounted, device: "LABEL=x", beats: stays, blkid: program(2, "", ""), want: goesOn},
		"mounted by the host":  {bench: byHost, device: "LABEL=x", beats: stays, blkid: program(2, "", ""), want: goesOn},
		"a restarted plugin":   {bench: mounted, device: "LABEL=x", beats: stays, blkid: program(2, "", ""), spoil: restarted, want: goesOn},
		"a renamed pool":       {bench: mounted, device: "LABEL=x", beats: stays, blkid: program(2, "", ""), spoil: renamed, want: strings.Replace(goesOn, "media-apps:", "renamed:", 1)},
		"a disk that tells":    {bench: never, device: byID, blkid: onlyOCFS2, want: goesOn},
		"a disk that says none": {bench: never, device: byID, blkid: program(8, "", "blkid: x\n"), want: "pool media-apps: whether this node's heartbeat on its disk " + byID + " has ended is unknown, because " +
			`blkid -p -n ocfs2 finds no OCFS2 on it ("blkid: x", exit code 8); configure it by its UUID (POOL_DEVICE=UUID=...)`},
		"no disk": {bench: never, device: "LABEL=x", blkid: program(2, "", "")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := row.bench(t)
				b.settings.Pools[0].Device = row.device
				b.addDisk(byID)
				b.kernel.SetProgram("blkid", row.blkid)
				b.kernel.SetProgram("umount", func(context.Context, mounter.Command) (mounter.Output, error) {
					b.kernel.UnmountHost(poolPath)
					b.cluster(row.beats)
					return mounter.Output{}, nil
				})
				if row.spoil != nil {
					row.spoil(t, b)
				}
				pool := b.settings.Pools[0].Name
				b.backend.Refuse(pool, b.now, true)
				for range 2 { // the second finds nothing mounted
					err := b.backend.Lower(t.Context(), pool)
					if row.want == "" {
						assert.NilError(t, err)
					} else {
						assert.ErrorContains(t, err, row.want)
					}
				}
			})
		})
	}
}

// onlyOCFS2 is blkid on a disk with another signature beside OCFS2's.
func onlyOCFS2(_ context.Context, command mounter.Command) (mounter.Output, error) {
	if strings.Contains(strings.Join(command.Args, " "), "-n ocfs2 ") {
		return mounter.Output{Stdout: dashed + "\n"}, nil
	}
	return mounter.Output{Code: 8}, nil
}

func privateCopy(device string) func(*testing.T, *bench) {
	return func(_ *testing.T, b *bench) {
		b.kernel.SetUsers(device, mounter.User{PID: 8, Name: "backup", Target: "/host"})
	}
}

// restarted has the pool unmounted by somebody, and a plugin that has not seen it.
func restarted(_ *testing.T, b *bench) {
	b.kernel.UnmountHost(poolPath)
	b.restart()
}

func renamed(t *testing.T, b *bench) {
	t.Helper()
	b.settings.Pools[0].Name = "renamed"
	assert.NilError(t, b.backend.Retired(t.Context()))
	restarted(t, b)
}

// The disk of a pool that the plugin did not mount itself is not taken away under its heartbeat either.
func TestSessionOfALivePoolIsNotEnded(t *testing.T) {
	b := newBench(t)
	b.settings.Pools[0].ISCSI = &settings.ISCSI{Portal: "192.168.1.100", Target: target}
	runs := install(b, false)
	b.kernel.SetProgram("mount", program(1, "", "mount.ocfs2: x\n"))
	_, err := b.backend.Prepare(t.Context(), "media-apps")
	assert.ErrorContains(t, err, "mount.ocfs2: x")
	b.cluster(true) // it was mounted by hand, and unmounted under a container
	b.kernel.SetUsers("/dev/sdb", mounter.User{PID: 7, Name: "app", Target: "/data"})
	lines, err := b.backend.Leave(t.Context(), "media-apps")
	assert.NilError(t, err)
	assert.Equal(t, len(lines), 0, "%q", lines)
	_, err = b.backend.Disconnect(t.Context(), "media-apps")
	assert.ErrorContains(t, err, "something on this node still has it: stop process 7, app (it has it mounted at /data)")
	assert.Assert(t, !strings.Contains(strings.Join(runs(), "\n"), "--logout"))
	b.cluster(false)
	b.kernel.SetUsers("/dev/sdb")
	lines, err = b.backend.Disconnect(t.Context(), "media-apps")
	assert.NilError(t, err)
	assert.DeepEqual(t, lines, []string{"Logged out of the iSCSI target " + target + "."})
}
