package ocfs2_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

const slotMap = "Device    Stack  Cluster  F  Nodes\n/dev/sdb  o2cb   homelab     "

// maintained has a pool that is mounted, marked, and that the host's tools can take down.
func maintained(t *testing.T) (*bench, func() []string) {
	t.Helper()
	b := newBench(t)
	runs := install(b, true)
	_, err := b.backend.Prepare(t.Context(), "media-apps")
	assert.NilError(t, err)
	b.cluster(true)
	b.kernel.SetProgram("umount", func(context.Context, mounter.Command) (mounter.Output, error) {
		b.kernel.UnmountHost(poolPath)
		b.cluster(false)
		return mounter.Output{}, nil
	})
	b.kernel.SetProgram("mount", func(context.Context, mounter.Command) (mounter.Output, error) {
		b.kernel.MountHost(poolPath, disk())
		b.cluster(true)
		return mounter.Output{}, nil
	})
	b.kernel.SetProgram("fsck.ocfs2", program(0, "All passes succeeded.\n", "fsck.ocfs2 1.8.7\n"))
	b.kernel.SetProgram("mounted.ocfs2", program(0, slotMap+"Not mounted\n", ""))
	return b, runs
}

// cluster has three nodes, of which this one is in the region while the pool is mounted.
func (b *bench) cluster(region bool, live ...int) {
	state := mounter.Cluster{Name: "homelab", Node: 1, Nodes: map[string]int{"node-1": 1, "node-2": 2, "node-3": 3}, Region: region, Live: live}
	b.kernel.SetCluster(uuid, state)
	b.kernel.SetCluster("", state)
}

func TestDrainedPoolIsRefused(t *testing.T) {
	b, _ := maintained(t)
	v := create(t, b, volume("v", "v"))
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const sentence = "pool media-apps: it is drained on this node since 2026-01-02T03:04:05Z (docker homelab drain), so nothing is mounted from it; `docker homelab undrain media-apps` mounts it again"
	b.backend.Refuse("media-apps", since, false)
	_, err := b.backend.Stage(t.Context(), v)
	assert.Error(t, err, sentence)
	assert.ErrorIs(t, err, backend.ErrUnavailable)
	assert.ErrorContains(t, b.backend.Remove(t.Context(), v), "it is drained")
	_, err = b.backend.Check(t.Context(), "media-apps")
	assert.NilError(t, err, "holds are given back")

	b.backend.Refuse("media-apps", since, true)
	for _, prove := range []func(context.Context, string) (backend.Pool, error){b.backend.Check, b.backend.Prove, b.backend.Prepare} {
		_, err = prove(t.Context(), "media-apps")
		assert.Error(t, err, sentence)
	}
	b.backend.Refresh(t.Context())
	assert.Equal(t, b.backend.Report()[0]["problem"], sentence)
	b.backend.Admit("media-apps")
	_, err = b.backend.Stage(t.Context(), v)
	assert.NilError(t, err)
}

func TestPoolIsTakenDownAndUpAgain(t *testing.T) {
	b, runs := maintained(t)
	b.backend.Refuse("media-apps", b.now, true)
	assert.NilError(t, b.backend.Lower(t.Context(), "media-apps"))
	assert.NilError(t, b.backend.Lower(t.Context(), "media-apps"), "again")
	b.backend.Refresh(t.Context())
	verdict, err := b.backend.CheckDisk(t.Context(), "media-apps", false)
	assert.NilError(t, err)
	assert.DeepEqual(t, verdict, backend.Verdict{Command: "fsck.ocfs2 -fn /dev/sdb"})
	b.kernel.SetProgram("fsck.ocfs2", program(1, "Pass 1\n[INODE_NLINKS] Inode 5 has 2. Correct? y\n[DIRENT_LENGTH] x\nAll passes succeeded.\n", ""))
	verdict, err = b.backend.CheckDisk(t.Context(), "media-apps", true)
	assert.NilError(t, err)
	assert.DeepEqual(t, verdict, backend.Verdict{
		Command: "fsck.ocfs2 -fy /dev/sdb", Count: 2, Findings: []string{"[INODE_NLINKS] Inode 5 has 2. Correct? y", "[DIRENT_LENGTH] x"},
	})
	assert.NilError(t, b.backend.Lift(t.Context(), "media-apps"))
	mounts := 0
	for _, line := range runs() {
		if strings.HasPrefix(line, "mount ") {
			mounts++
		}
	}
	assert.Equal(t, mounts, 2, "by the first proof and by Lift, not by a look of the background")
}

// Whatever keeps a pool from being taken down or checked is named.
func TestWhatIsInTheWayOfADrain(t *testing.T) {
	lower := func(t *testing.T, b *bench) error { return b.backend.Lower(t.Context(), "media-apps") }
	check := func(repair bool) func(t *testing.T, b *bench) error {
		return func(t *testing.T, b *bench) error {
			assert.NilError(t, b.backend.Lower(t.Context(), "media-apps"))
			_, err := b.backend.CheckDisk(t.Context(), "media-apps", repair)
			return err
		}
	}
	for name, row := range map[string]struct {
		spoil func(b *bench)
		work  func(t *testing.T, b *bench) error
		want  string
	}{
		"a shell in it": {func(b *bench) {
			b.kernel.SetProgram("umount", program(32, "", "umount: /mnt/iscsi/media-apps: target is busy.\n"))
			b.kernel.SetUsers(poolPath, mounter.User{PID: 7, Name: "bash", Target: poolPath + "/radarr"})
		}, lower, "pool media-apps: it cannot be unmounted (umount: /mnt/iscsi/media-apps: target is busy.): stop process 7, bash (it has /mnt/iscsi/media-apps/radarr)"},
		"a private copy": {func(b *bench) {
			b.kernel.SetUsers("/dev/sdb", mounter.User{PID: 8, Name: "backup", Target: "/host" + poolPath})
		}, lower, "pool media-apps: it is not mounted at /mnt/iscsi/media-apps any more, but something on this node still has it: stop process 8, backup (it has it mounted at /host/mnt/iscsi/media-apps)"},
		"a heartbeat that goes on": {func(b *bench) {
			b.kernel.SetProgram("umount", func(context.Context, mounter.Command) (mounter.Output, error) {
				b.kernel.UnmountHost(poolPath)
				return mounter.Output{}, nil
			})
		}, lower, "pool media-apps: it is not mounted at /mnt/iscsi/media-apps any more, but something on this node still has it: its heartbeat goes on, and nobody has it mounted. " +
			"Either it was unmounted lazily (umount -l) under somebody who uses it; or a second mount.ocfs2 of it has left a reference to its heartbeat: " +
			"`ocfs2_hb_ctl -I -u 0C5A1F3E7B9D4A2680FFEE1122334455` counts them, `ocfs2_hb_ctl -K -u 0C5A1F3E7B9D4A2680FFEE1122334455 o2cb` takes one away"},
		"another file system": {func(b *bench) {
			b.kernel.UnmountHost(poolPath)
			b.kernel.MountHost(poolPath, mountertest.FileSystem{Type: "ext4", Source: "/dev/sda"})
		}, lower, "pool media-apps: ext4 from /dev/sda is mounted at /mnt/iscsi/media-apps instead of the OCFS2 pool; unmount it (umount /mnt/iscsi/media-apps)"},
		"no umount": {func(b *bench) {
			b.kernel.SetProgram("umount", nil)
		}, lower, "pool media-apps (/mnt/iscsi/media-apps): run the host's umount: run at umount: no such file or directory"},
		"an earlier check": {func(b *bench) {
			b.kernel.SetUsers("/dev/sdb", mounter.User{PID: 9, Name: "fsck.ocfs2", Target: "/dev/sdb"})
		}, func(t *testing.T, b *bench) error {
			b.kernel.UnmountHost(poolPath)
			_, err := b.backend.CheckDisk(t.Context(), "media-apps", false)
			return err
		}, "pool media-apps: fsck.ocfs2 works on its disk /dev/sdb (process 9); try again when it has ended"},
		"mounted again": {func(*bench) {}, func(t *testing.T, b *bench) error {
			_, err := b.backend.CheckDisk(t.Context(), "media-apps", false)
			return err
		}, "pool media-apps: it is mounted at /mnt/iscsi/media-apps, and is checked when it is not; somebody has mounted it again"},
		"another node": {func(b *bench) {
			b.kernel.SetProgram("mounted.ocfs2", program(0, slotMap+"node-1, node-2\n", ""))
		}, check(true), "pool media-apps: it is not repaired while other nodes have it mounted: node-2. Drain it there first (docker homelab drain media-apps --hold); a node that died is listed until another one has mounted the pool"},
		"an unknown slot map": {func(b *bench) {
			b.kernel.SetProgram("mounted.ocfs2", program(0, slotMap+"Unknown: Bad magic number in inode\n", ""))
		}, check(true), `pool media-apps: which nodes have it mounted is unknown: mounted.ocfs2 -f /dev/sdb says "/dev/sdb  o2cb   homelab     Unknown: Bad magic number in inode" (exit code 0)`},
		"errors left": {func(b *bench) {
			b.kernel.SetProgram("fsck.ocfs2", program(4, "x\nfsck.ocfs2: not all errors were corrected\n", "fsck.ocfs2 1.8.7\n"))
		}, check(true), "pool media-apps: fsck.ocfs2 -fy /dev/sdb ended with code 4: fsck.ocfs2: not all errors were corrected"},
		"no fsck": {func(b *bench) {
			b.kernel.SetProgram("fsck.ocfs2", nil)
		}, check(false), "pool media-apps (/mnt/iscsi/media-apps): run the host's fsck.ocfs2: run at fsck.ocfs2: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // some wait for what is busy
				b, _ := maintained(t)
				b.backend.Refuse("media-apps", b.now, true)
				row.spoil(b)
				assert.Error(t, row.work(t, b), row.want)
			})
		})
	}
}

func TestNeighbours(t *testing.T) {
	b, _ := maintained(t)
	b.cluster(true, 1, 3, 2)
	others, err := b.backend.Neighbours(t.Context(), "media-apps")
	assert.NilError(t, err)
	assert.DeepEqual(t, others, []string{"node-2", "node-3"})
	b.cluster(true) // debugfs does not tell: the disk is asked
	b.kernel.SetProgram("mounted.ocfs2", program(0, slotMap+"node-1, 3\n", ""))
	others, err = b.backend.Neighbours(t.Context(), "media-apps")
	assert.NilError(t, err)
	assert.DeepEqual(t, others, []string{"3"})
	b.kernel.UnmountHost(poolPath)
	b.kernel.SetProgram("mounted.ocfs2", program(1, "", "mounted.ocfs2: Permission denied\n"))
	_, err = b.backend.Neighbours(t.Context(), "media-apps")
	assert.ErrorContains(t, err, `says "mounted.ocfs2: Permission denied" (exit code 1)`)
}

// What the plugin did it undoes, once; what the host did stays.
func TestLeave(t *testing.T) {
	b := newBench(t)
	b.settings.Pools[0].ISCSI = &settings.ISCSI{Portal: "192.168.1.100", Target: target}
	runs := install(b, false)
	_, err := b.backend.Prepare(t.Context(), "media-apps")
	assert.NilError(t, err)
	b.kernel.SetProgram("umount", func(context.Context, mounter.Command) (mounter.Output, error) {
		b.kernel.UnmountHost(poolPath)
		b.cluster(false)
		return mounter.Output{}, nil
	})
	b.backend.Refuse("media-apps", b.now, true)
	lines, err := b.backend.Leave(t.Context(), "media-apps")
	assert.NilError(t, err)
	assert.DeepEqual(t, lines, []string{"Unmounted pool media-apps from /mnt/iscsi/media-apps; its heartbeat has ended."})
	lines, err = b.backend.Disconnect(t.Context(), "media-apps")
	assert.NilError(t, err)
	assert.DeepEqual(t, lines, []string{"Logged out of the iSCSI target " + target + "."})
	assert.Equal(t, runs()[len(runs())-1], "iscsiadm -m node -T "+target+" -p 192.168.1.100 --logout")
	before := len(runs())
	lines, err = b.backend.Leave(t.Context(), "media-apps")
	assert.NilError(t, err)
	more, err := b.backend.Disconnect(t.Context(), "media-apps")
	assert.NilError(t, err)
	assert.Equal(t, len(lines)+len(more)+len(runs())-before, 0, "nothing is left to do")

	b.kernel.MountHost(poolPath, disk())
	lines, err = b.backend.Leave(t.Context(), "media-apps")
	assert.NilError(t, err)
	assert.DeepEqual(t, lines, []string{"Left pool media-apps mounted at /mnt/iscsi/media-apps: the host mounted it, not the plugin."})
	_, err = b.backend.Leave(t.Context(), "standalone")
	assert.ErrorContains(t, err, "there is nothing to unmount or check")
}
