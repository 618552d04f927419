package drivertest

import (
	"context"
	"os"
	"slices"
	"sync"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

const (
	poolDisk   = "/dev/sda"
	poolTarget = "iqn.2024-01.lan.nas:media-apps"
	poolPortal = "192.168.1.100"
)

// poolFiles is the file system of the pool.
func poolFiles() mountertest.FileSystem {
	return mountertest.FileSystem{Type: "ocfs2", UUID: poolUUID, Source: poolDisk, SuperOptions: "rw,_netdev,heartbeat=local,nointr,data=ordered"}
}

// host is a machine whose plugin brings the pool up and takes it down: an iSCSI target, and the programs for its disk. They fail the
// test when they are run where a real one would do harm.
type host struct {
	t      *testing.T
	kernel *mountertest.Kernel

	mu      sync.Mutex // guards what follows
	session bool
	checks  int // of the file system
}

// newHost is a host with the target within reach, and nothing connected.
func newHost(t *testing.T, kernel *mountertest.Kernel) *host {
	t.Helper()
	h := &host{t: t, kernel: kernel}
	for name, program := range map[string]func(ctx context.Context, args []string) mounter.Output{
		"blkid": h.blkid, "iscsiadm": h.iscsiadm, "mount": h.mount, "umount": h.umount, "fsck.ocfs2": h.check,
		"mounted.ocfs2": func(context.Context, []string) mounter.Output {
			return mounter.Output{Stdout: "Device    Stack  Cluster  F  Nodes\n" + poolDisk + "  o2cb   homelab     Not mounted\n"}
		},
		"dmesg": func(context.Context, []string) mounter.Output { return mounter.Output{} },
	} {
		kernel.SetProgram(name, func(ctx context.Context, command mounter.Command) (mounter.Output, error) {
			return program(ctx, command.Args), nil
		})
	}
	return h
}

// pool is how the plugin of such a host has it configured.
func (h *host) pool() settings.Pool {
	return settings.Pool{
		Name: poolName, Path: poolPath, Catalog: true, Device: "UUID=" + settings.Dashed(poolUUID),
		ISCSI: &settings.ISCSI{Portal: poolPortal, Target: poolTarget},
	}
}

func (h *host) connected() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.session
}

func (h *host) connect(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.session = on
}

func (h *host) checked() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.checks
}

// mounts are where the pool, or a directory of it, is mounted on a side.
func (h *host) mounts(ctx context.Context, side mounter.Side) []string {
	table, err := h.kernel.Table(context.WithoutCancel(ctx), side)
	assert.Check(h.t, err)
	var targets []string
	for _, line := range table {
		if line.Source == poolDisk {
			targets = append(targets, line.Target)
		}
	}
	return targets
}

// up says whether this node's heartbeat on the disk runs: as long as anything of it is mounted.
func (h *host) up(ctx context.Context) bool {
	return len(h.mounts(ctx, mounter.Host))+len(h.mounts(ctx, mounter.Plugin)) > 0
}

func (h *host) blkid(context.Context, []string) mounter.Output {
	if !h.connected() {
		return mounter.Output{Code: 2}
	}
	return mounter.Output{Stdout: poolDisk + "\n"}
}

func (h *host) iscsiadm(ctx context.Context, args []string) mounter.Output {
	switch {
	case args[1] == "discovery":
		return mounter.Output{Stdout: poolPortal + ":3260,1 " + poolTarget + "\n"}
	case args[1] == "session" && h.connected():
		return mounter.Output{Stdout: "tcp: [1] " + poolPortal + ":3260,1 " + poolTarget + " (non-flash)\n"}
	case args[1] == "session":
		return mounter.Output{Code: 21, Stderr: "iscsiadm: No active sessions."}
	case slices.Contains(args, "--login"):
		assert.Check(h.t, !h.connected(), "logged in twice")
		h.connect(true)
	case slices.Contains(args, "--logout"):
		assert.Check(h.t, !h.up(ctx), "logged out under a heartbeat, which resets the node")
		h.connect(false)
	}
	return mounter.Output{}
}

func (h *host) mount(ctx context.Context, _ []string) mounter.Output {
	assert.Check(h.t, h.connected() && !h.up(ctx), "mounted without a disk, or twice")
	h.kernel.MountHost(poolPath, poolFiles())
	return mounter.Output{}
}

func (h *host) umount(ctx context.Context, _ []string) mounter.Output {
	assert.Check(h.t, len(h.mounts(ctx, mounter.Plugin)) == 0, "unmounted under volumes")
	h.kernel.UnmountHost(poolPath)
	return mounter.Output{}
}

func (h *host) check(ctx context.Context, _ []string) mounter.Output {
	assert.Check(h.t, h.connected() && !h.up(ctx), "checked without a disk, or while it is mounted")
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks++
	return mounter.Output{Stdout: "All passes succeeded.\n", Stderr: "fsck.ocfs2 1.8.7\n"}
}

// down says that nothing of the pool is left on the host, and that nothing was written where it was mounted.
func (h *host) down() {
	h.t.Helper()
	ctx := h.t.Context()
	assert.Check(h.t, !h.up(ctx), "the pool is still mounted: %v, %v", h.mounts(ctx, mounter.Host), h.mounts(ctx, mounter.Plugin))
	entries, err := os.ReadDir(h.kernel.HostPath(poolPath))
	assert.NilError(h.t, err)
	assert.Check(h.t, len(entries) == 0, "on the root disk below the pool: %v", entries)
}
