package ocfs2_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// connected has an iSCSI session that the plugin made, for a pool that is not mounted.
func connected(t *testing.T) (b *bench, runs func() []string) {
	t.Helper()
	b = newBench(t)
	runs = install(b, true)
	b.note(t, "media-apps", `{"target":"`+target+`","portal":"192.168.1.100"}`)
	return b, runs
}

// note is what an earlier process did.
func (b *bench) note(t *testing.T, pool, text string) {
	t.Helper()
	b.put(t, "/run/homelab-storage/pools/"+pool+".json", text)
}

// put writes a file of the host.
func (b *bench) put(t *testing.T, name, text string) {
	t.Helper()
	name = b.kernel.HostPath(name)
	assert.NilError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	assert.NilError(t, os.WriteFile(name, []byte(text), 0o600))
}

// A check goes on without the plugin that began it, for hours, and a disk that goes under a repair is a file system that is lost.
func TestDisconnectKeepsTheDiskOfARunningCheck(t *testing.T) {
	b, runs := connected(t)
	b.kernel.SetUsers("/dev/sdb", mounter.User{PID: 9, Name: "fsck.ocfs2", Target: "/dev/sdb"})
	_, err := b.backend.Disconnect(t.Context(), "media-apps")
	assert.Error(t, err, "pool media-apps: fsck.ocfs2 works on its disk /dev/sdb (process 9); try again when it has ended")
	assert.Assert(t, !strings.Contains(strings.Join(runs(), "\n"), "--logout"))
	b.kernel.SetUsers("/dev/sdb")
	lines, err := b.backend.Disconnect(t.Context(), "media-apps")
	assert.NilError(t, err)
	assert.DeepEqual(t, lines, []string{"Logged out of the iSCSI target " + target + "."})
}

// A session may have the disks of several pools: a heartbeat that loses its disk resets the node.
func TestDisconnectKeepsTheDiskOfAnotherPool(t *testing.T) {
	b, runs := connected(t)
	second := &b.settings.Pools[1]
	second.ISCSI = &settings.ISCSI{Portal: "192.168.1.100", Target: target}
	b.kernel.MountHost(second.Path, disk())
	lines, err := b.backend.Disconnect(t.Context(), "media-apps")
	assert.NilError(t, err)
	assert.DeepEqual(t, lines, []string{"Left the session of the iSCSI target " + target + ": pool app-data has its disk there, and is mounted."})
	assert.Assert(t, !strings.Contains(strings.Join(runs(), "\n"), "--logout"))
}

// It may also have disks that are the host's own: what is not written yet would be lost.
func TestDisconnectKeepsTheDisksOfTheHost(t *testing.T) {
	const below = "/sys/class/iscsi_session/session1/device/target2:0:0/2:0:0:1/block/sdc/"
	for name, row := range map[string]struct {
		use  func(b *bench)
		want string
	}{
		"a partition is mounted": {func(b *bench) { b.put(t, below+"sdc1/dev", b.deviceAt(t, "/srv")+"\n") }, "/dev/sdc1 of it is mounted at /srv"},
		"the disk is mounted":    {func(b *bench) { b.put(t, below+"dev", b.deviceAt(t, "/srv")+"\n") }, "/dev/sdc of it is mounted at /srv"},
		"it is swapped to": {func(b *bench) {
			b.put(t, below+"sdc2/dev", "8:34\n")
			b.put(t, "/proc/swaps", "Filename Type Size Used Priority\n/dev/sdc2 partition 999 0 -2\n")
		}, "/dev/sdc2 of it is swapped to"},
		"a volume group has it": {func(b *bench) { b.put(t, below+"holders/dm-0/dev", "253:0\n") }, "/dev/sdc of it is part of /dev/dm-0"},
		"a pool without iscsi": {func(b *bench) {
			b.kernel.MountHost(b.settings.Pools[1].Path, disk())
			b.put(t, below+"dev", b.deviceAt(t, b.settings.Pools[1].Path)+"\n")
		}, "/dev/sdc of it is mounted at /mnt/iscsi/app-data"},
		"another target's disk": {func(b *bench) {
			b.put(t, below+"dev", b.deviceAt(t, "/srv")+"\n")
			b.put(t, "/sys/class/iscsi_session/session1/targetname", "iqn.2024-01.lan.nas:other\n")
		}, ""},
		"btrfs on it": {func(b *bench) {
			b.put(t, below+"sdc1/dev", "8:33\n") // btrfs has a number of its own in the mount table
		}, "/dev/sdc1 of it is mounted at /srv"},
		"nothing": {func(b *bench) { b.kernel.UnmountHost("/srv") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b, runs := connected(t)
			b.kernel.MountHost("/srv", mountertest.FileSystem{Type: "ext4", Source: "/dev/sdc1"})
			b.put(t, "/sys/class/iscsi_session/session1/targetname", target+"\n")
			b.put(t, below+"dev", "8:32\n")
			row.use(b)
			lines, err := b.backend.Disconnect(t.Context(), "media-apps")
			assert.NilError(t, err)
			want := "Logged out of the iSCSI target " + target + "."
			if row.want != "" {
				want = "Left the session of the iSCSI target " + target + ": " + row.want + "."
			}
			assert.DeepEqual(t, lines, []string{want})
			assert.Equal(t, strings.Contains(strings.Join(runs(), "\n"), "--logout"), row.want == "")
		})
	}
}

// deviceAt is the number of what is mounted at a path of the host.
func (b *bench) deviceAt(t *testing.T, target string) string {
	t.Helper()
	table, err := b.kernel.Table(t.Context(), mounter.Host)
	assert.NilError(t, err)
	i := slices.IndexFunc(table, func(mount mounter.Mount) bool { return mount.Target == target })
	return table[i].Device
}

// A session that somebody else made, before or meanwhile, is not the plugin's to end.
func TestSessionOfSomebodyElseIsNotEnded(t *testing.T) {
	for _, code := range []int{15, 24} {
		b := newBench(t)
		b.settings.Pools[0].ISCSI = &settings.ISCSI{Portal: "192.168.1.100", Target: target}
		b.kernel.SetProgram("blkid", program(2, "", ""))
		runs := install(b, code == 15)
		b.kernel.SetProgram("blkid", func(context.Context, mounter.Command) (mounter.Output, error) {
			if code == 15 && strings.Contains(strings.Join(runs(), "\n"), "--login") {
				return mounter.Output{Stdout: "/dev/sdb\n"}, nil
			}
			return mounter.Output{Code: 2}, nil
		})
		b.kernel.SetProgram("iscsiadm", func(_ context.Context, command mounter.Command) (mounter.Output, error) {
			if command.Args[len(command.Args)-1] == "--login" {
				return mounter.Output{Code: code, Stderr: "iscsiadm: as it is"}, nil
			}
			return mounter.Output{Stdout: map[string]string{"discovery": target}[command.Args[1]]}, nil
		})
		_, err := b.backend.Prepare(t.Context(), "media-apps")
		assert.Equal(t, err == nil, code == 15, "%v", err)
		if err == nil {
			b.kernel.UnmountHost(poolPath)
		}
		lines, err := b.backend.Disconnect(t.Context(), "media-apps")
		assert.NilError(t, err)
		assert.Equal(t, len(lines), 0, "%q", lines)
	}
}

// What iscsid.conf says of CHAP goes into a target's record when it is found, and is not looked at again: after a login that failed the
// record goes, so that the operator's next setting counts. One that was there is the operator's.
func TestRecordOfAFailedLogin(t *testing.T) {
	for _, known := range []bool{false, true} {
		b := newBench(t)
		b.settings.Pools[0].ISCSI = &settings.ISCSI{Portal: "192.168.1.100", Target: target}
		runs := install(b, false)
		b.kernel.SetProgram("iscsiadm", func(_ context.Context, command mounter.Command) (mounter.Output, error) {
			switch args := strings.Join(command.Args, " "); {
			case strings.HasSuffix(args, "--login"):
				return mounter.Output{Code: 24, Stderr: "iscsiadm: authorization failure"}, nil
			case command.Args[1] == "node" && len(command.Args) == 6 && !known:
				return mounter.Output{Code: 21}, nil
			}
			return mounter.Output{Stdout: map[string]string{"discovery": target}[command.Args[1]]}, nil
		})
		_, err := b.backend.Prepare(t.Context(), "media-apps")
		assert.ErrorContains(t, err, "refused the login (iscsiadm: authorization failure): check its access list and CHAP settings")
		assert.Equal(t, runs()[len(runs())-1] == "iscsiadm -m node -T "+target+" -p 192.168.1.100 -o delete", !known)
	}
}

// The kernel looks for the disks of a session once; one that the NAS has since then is found by a look again.
func TestNewDiskInAnOldSession(t *testing.T) {
	b := newBench(t)
	b.settings.Pools[0].ISCSI = &settings.ISCSI{Portal: "192.168.1.100", Target: target}
	runs := install(b, false)
	there := false
	b.kernel.SetProgram("iscsiadm", func(_ context.Context, command mounter.Command) (mounter.Output, error) {
		there = there || command.Args[len(command.Args)-1] == "--rescan"
		return mounter.Output{Stdout: "tcp: [1] 192.168.1.100:3260,1 " + target + " (non-flash)\n"}, nil
	})
	b.kernel.SetProgram("blkid", func(context.Context, mounter.Command) (mounter.Output, error) {
		if there {
			return mounter.Output{Stdout: "/dev/sdb\n"}, nil
		}
		return mounter.Output{Code: 2}, nil
	})
	create(t, b, volume("v", "v"))
	assert.DeepEqual(t, runs()[1:3], []string{"iscsiadm -m session", "iscsiadm -m node -T " + target + " -p 192.168.1.100 --rescan"})
}
