package ocfs2_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// install gives the host a disk that its mount.ocfs2 mounts, with a heartbeat from then on, and iSCSI with a NAS behind it.
func install(b *bench, attached bool) (runs func() []string) {
	b.kernel.SetCluster(uuid, mounter.Cluster{Name: "homelab"})
	b.kernel.SetProgram("blkid", func(_ context.Context, command mounter.Command) (mounter.Output, error) {
		if attached && command.Args[1] == dashed {
			return mounter.Output{Stdout: "/dev/sdb\n"}, nil
		}
		return mounter.Output{Code: 2}, nil
	})
	b.kernel.SetProgram("mount", func(context.Context, mounter.Command) (mounter.Output, error) {
		b.kernel.SetCluster(uuid, mounter.Cluster{Name: "homelab", Region: true})
		b.kernel.MountHost(poolPath, disk())
		return mounter.Output{}, nil
	})
	b.kernel.SetProgram("dmesg", program(0, "", ""))
	b.kernel.SetProgram("iscsiadm", func(_ context.Context, command mounter.Command) (mounter.Output, error) {
		switch command.Args[1] {
		case "session":
			return mounter.Output{Code: 21, Stderr: "iscsiadm: No active sessions."}, nil
		case "discovery":
			return mounter.Output{Stdout: "192.168.1.100:3260,1 " + target + "\n"}, nil
		}
		attached = true
		return mounter.Output{}, nil
	})
	return func() []string {
		var lines []string
		for _, action := range b.kernel.Actions(mountertest.OpRun) {
			lines = append(lines, action.Target+" "+strings.Join(action.Args, " "))
		}
		return lines
	}
}

func TestBringUpThroughISCSI(t *testing.T) {
	b := newBench(t)
	b.settings.Pools[0].ISCSI = &settings.ISCSI{Portal: "192.168.1.100", Target: target}
	runs := install(b, false)
	create(t, b, volume("v", "v"))
	assert.DeepEqual(t, runs(), []string{
		"blkid -U " + dashed, "iscsiadm -m session", "iscsiadm -m node -T " + target + " -p 192.168.1.100", "iscsiadm -m discovery -t sendtargets -p 192.168.1.100 -o new",
		"iscsiadm -m node -T " + target + " -p 192.168.1.100 --login", "blkid -U " + dashed,
		"dmesg ", "mount -t ocfs2 -o noatime /dev/sdb " + poolPath,
	})
	_, err := b.backend.Prove(t.Context(), "media-apps")
	assert.NilError(t, err)
	assert.Equal(t, len(runs()), 8, "mounted once")
}

func TestCheckNeverBringsUp(t *testing.T) {
	b := newBench(t)
	runs := install(b, true)
	_, err := b.backend.Check(t.Context(), "media-apps")
	assert.Assert(t, errors.Is(err, backend.ErrUnavailable), "%v", err)
	assert.Equal(t, len(runs()), 0)
	_, err = b.backend.Prove(t.Context(), "media-apps")
	assert.ErrorContains(t, err, "has no marker")
	_, err = b.backend.Prepare(t.Context(), "media-apps")
	assert.NilError(t, err)
	_, err = b.backend.Check(t.Context(), "media-apps")
	assert.NilError(t, err)
}

// logs has the kernel's log begin with some lines, and go on with others once it was read.
func (b *bench) logs(before, after string) {
	log := before
	b.kernel.SetProgram("dmesg", func(context.Context, mounter.Command) (mounter.Output, error) {
		defer func() { log = before + after }()
		return mounter.Output{Stdout: log}, nil
	})
}

// Whatever goes wrong on the way up has its sentence.
func TestBringUpFailures(t *testing.T) {
	var text strings.Builder
	for _, row := range []struct {
		title string
		spoil func(b *bench)
	}{
		{"no iscsiadm", func(b *bench) {
			b.kernel.SetProgram("iscsiadm", nil)
		}},
		{"portal away", func(b *bench) {
			b.kernel.SetProgram("iscsiadm", program(4, "", "iscsiadm: cannot make connection to 192.168.1.100: Connection refused\n"))
		}},
		{"target unknown", func(b *bench) { b.kernel.SetProgram("iscsiadm", program(0, "192.168.1.100:3260,1 iqn.x:y\n", "")) }},
		{"login refused", func(b *bench) {
			b.kernel.SetProgram("iscsiadm", func(_ context.Context, command mounter.Command) (mounter.Output, error) {
				if command.Args[1] == "node" {
					return mounter.Output{Code: 24, Stderr: "iscsiadm: Could not login: authorization failure\n"}, nil
				}
				return mounter.Output{Stdout: map[string]string{"discovery": target}[command.Args[1]]}, nil
			})
		}},
		{"mounted elsewhere", func(b *bench) { install(b, true); b.kernel.MountHost("/mnt/old", disk()) }},
		{"mount fails", func(b *bench) {
			install(b, true)
			b.kernel.SetProgram("mount", program(1, "", "mount.ocfs2: Unable to access cluster service while trying to join the group\n"))
		}},
		{"mount lies", func(b *bench) { install(b, true); b.kernel.SetProgram("mount", program(0, "", "")) }},
		{"slots exhausted", func(b *bench) {
			install(b, true)
			b.kernel.SetProgram("mount", program(1, "", "mount.ocfs2: Invalid argument while mounting /dev/sdb\n"))
			b.logs("x\n", "[1.0] (mount.ocfs2,1,0):ocfs2_find_slot:482 ERROR: no free slots available!\n")
		}},
		{"timeouts differ", func(b *bench) {
			install(b, true)
			b.kernel.SetProgram("mount", program(1, "", "mount.ocfs2: Transport endpoint is not connected\n"))
			b.logs("", "[1.0] o2net: node-2 uses a heartbeat timeout of 12000 ms, but our heartbeat timeout is 60000\n")
		}},
		{"refused by the kernel", func(b *bench) {
			install(b, true)
			b.kernel.SetProgram("mount", program(1, "", "mount.ocfs2: Internal logic failure while mounting /dev/sdb on /mnt/iscsi/media-apps, check 'dmesg' for more information on this error 5.\n"))
		}},
		{"an older mount's reason", func(b *bench) {
			install(b, true)
			b.logs("[   99.000000] o2net: our heartbeat timeout is 60000\n", "[  101.200000] (mount.ocfs2,1,0):ocfs2_find_slot:482 ERROR: no free slots available!\n[  101.300000] ocfs2: Unmounting device (8,16) on (node 1)\n")
			b.kernel.SetProgram("mount", program(1, "", "mount.ocfs2: Invalid argument while mounting /dev/sdb\n"))
		}},
		{"only an older mount's reason", func(b *bench) {
			install(b, true)
			b.logs("[   99.000000] o2net: our heartbeat timeout is 60000\n", "")
			b.kernel.SetProgram("mount", program(1, "", "mount.ocfs2: I/O error on channel\n"))
		}},
		{"under a check", func(b *bench) {
			install(b, true)
			b.kernel.SetUsers("/dev/sdb", mounter.User{PID: 9, Name: "fsck.ocfs2", Target: "/dev/sdb"})
		}},
		{"an automount that fails", func(b *bench) {
			install(b, true)
			b.kernel.MountHost(poolPath, mountertest.FileSystem{Type: "autofs", Source: "systemd-1"})
		}},
		{"no ISCSI", func(b *bench) { b.settings.Pools[0].ISCSI = nil }},
		{"no device", func(b *bench) { b.settings.Pools[0].Device = "" }},
	} {
		b := newBench(t)
		b.settings.Pools[0].ISCSI = &settings.ISCSI{Portal: "192.168.1.100", Target: target}
		install(b, false)
		row.spoil(b)
		_, err := b.backend.Create(t.Context(), volume("v", "v"), false)
		assert.Assert(t, errors.Is(err, backend.ErrUnavailable), "%s: %v", row.title, err)
		fmt.Fprintf(&text, "# %s\n%s\n\n", row.title, err)
	}
	golden.Assert(t, text.String(), "bringup.golden")
}

// A mount.ocfs2 that waits for its cluster outlives its caller, and is not started twice.
func TestBringUpGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		runs := install(b, true)
		hold := b.kernel.Hold(mountertest.OpRun, "mount")
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			_, err := b.backend.Create(ctx, volume("v", "v"), false)
			cancel()
			assert.ErrorContains(t, err, "is being brought up since 2026-03-01T12:00:00Z")
			assert.Assert(t, errors.Is(err, backend.ErrUnavailable))
		}
		assert.NilError(t, hold.Reached(t.Context()))
		b.kernel.Release(hold)
		create(t, b, volume("v", "v"))
		assert.Equal(t, len(runs()), 3, "blkid, dmesg and mount, once each")
	})
}

// Who found the pool not mounted just before somebody else's bring-up ended does not mount it again.
func TestBringUpThatIsNotNeededAnyMore(t *testing.T) {
	b := newBench(t)
	runs, looks := install(b, true), 0
	b.kernel.OnCall(func(action mountertest.Action) error {
		if action.Op != mountertest.OpTable {
			return nil
		}
		if looks++; looks == 2 {
			b.kernel.SetCluster(uuid, mounter.Cluster{Name: "homelab", Region: true})
			b.kernel.MountHost(poolPath, disk())
		}
		return nil
	})
	create(t, b, volume("v", "v"))
	assert.Equal(t, len(runs()), 0)
}

func TestStuckPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mountedBench(t)
		v := create(t, b, volume("v", "v"))
		for _, op := range []mountertest.Op{mountertest.OpFilesystem, mountertest.OpDo, mountertest.OpTable, mountertest.OpCluster} {
			hold := b.kernel.Hold(op, "")
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			_, err := b.backend.Stage(ctx, v)
			cancel()
			assert.ErrorContains(t, err, "has not answered since", op)
			assert.Assert(t, errors.Is(err, backend.ErrUnavailable))
			b.kernel.Release(hold)
		}
		assert.Assert(t, strings.Contains(b.backend.Status(v)["problem"].(string), "has not answered"))
	})
}

func TestRefreshBringsUpAndReports(t *testing.T) {
	b := newBench(t)
	install(b, true)
	b.backend.Refresh(t.Context())
	report := b.backend.Report()
	assert.Assert(t, strings.Contains(report[0]["note"].(string), "not used by homelab-storage yet"))
	assert.Assert(t, strings.Contains(report[1]["problem"].(string), "LABEL=app-data is not on this node"))
	_, err := b.backend.Prepare(t.Context(), "media-apps")
	assert.NilError(t, err)
	b.backend.Refresh(t.Context())
	assert.Equal(t, b.backend.Report()[0]["healthy"], true)
}

// Somebody unmounts a pool for a check of its file system: it is not mounted under their hands.
func TestRefreshLeavesAPoolAloneThatWasUnmounted(t *testing.T) {
	b := newBench(t)
	runs := install(b, true)
	b.backend.Refresh(t.Context())
	_, err := b.backend.Prepare(t.Context(), "media-apps")
	assert.NilError(t, err)
	b.kernel.UnmountHost(poolPath)
	before := len(runs())
	b.backend.Refresh(t.Context())
	_, err = b.backend.Check(t.Context(), "media-apps")
	assert.ErrorContains(t, err, "it is not mounted")
	for _, line := range runs()[before:] {
		assert.Assert(t, !strings.HasPrefix(line, "mount"), line)
	}
	_, err = b.backend.Prove(t.Context(), "media-apps")
	assert.NilError(t, err, "a volume that is asked for brings it back")
}

// A search for the disk that is still going on when its time is over is told as a disk that did not appear, not as a pool that hangs.
func TestBringUpWithASlowSearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.settings.Pools[0].ISCSI = &settings.ISCSI{Portal: "192.168.1.100", Target: target}
		b.kernel.SetProgram("iscsiadm", program(0, "tcp: [1] 192.168.1.100:3260,1 "+target+"\n", ""))
		searches, over := 0, make(chan struct{})
		b.kernel.SetProgram("blkid", func(context.Context, mounter.Command) (mounter.Output, error) {
			if searches++; searches == 1 {
				return mounter.Output{Code: 2}, nil
			}
			<-over
			return mounter.Output{Code: 2}, nil
		})
		_, err := b.backend.Prove(t.Context(), "media-apps")
		close(over)
		assert.ErrorContains(t, err, "appeared within 20s")
	})
}
