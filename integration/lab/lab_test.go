//go:build lab

package lab_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/lab"
)

var shared = lab.NewShared(lab.Options{Nodes: 2, Memory: 512})

func TestMain(m *testing.M) {
	code := m.Run()
	shared.Stop()
	os.Exit(code)
}

// step runs one step of a scenario and logs how long it took.
func step(t *testing.T, name string, do func() error) {
	t.Helper()
	start := time.Now()
	assert.NilError(t, do(), name)
	t.Logf("%-40s %6.2f s", name, time.Since(start).Seconds())
}

func must(t *testing.T, node *lab.Node, script string) string {
	t.Helper()
	output, err := node.Output(t.Context(), script)
	assert.NilError(t, err)
	return output
}

// TestOneLab uses a share by hand, which package cluster leaves to the plugin, and looks at what a lab leaves behind.
func TestOneLab(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var l *lab.Lab
	step(t, "start", func() error { l = lab.ForTest(t, lab.Options{Memory: 512}); return nil })
	node := l.Node(1)
	step(t, "mount SMB share", func() error { return node.MountShare(ctx, "torrents", "/mnt/torrents") })
	must(t, node, "echo film >/mnt/torrents/film.mkv && umount /mnt/torrents")
	film, err := os.ReadFile(filepath.Join(l.NAS().Share("torrents"), "film.mkv"))
	assert.NilError(t, err)
	assert.Equal(t, string(film), "film\n")
	traces := tracesOf(t, l)
	step(t, "stop", l.Stop)
	traces.assertGone(t)
}

// TestFaults tries every fault against what a node sees of it.
func TestFaults(t *testing.T) {
	ctx := t.Context()
	l := shared.Lab(t)
	node, peer := l.Node(1), l.Node(2)
	nas := "ping -c 1 -W 1 " + l.NAS().Server()
	other := "ping -c 1 -W 1 " + peer.Address()
	smb := "timeout 2 bash -c 'exec 3<>/dev/tcp/nas/445'"
	iscsi := "timeout 5 iscsiadm --mode discovery --type sendtargets --portal " + l.NAS().Portal()
	for _, fault := range []struct {
		name     string
		cut      func() error
		restore  func() error
		lost     []string
		remained []string
	}{
		{
			"network", func() error { return node.CutNetwork(ctx) }, func() error { return node.RestoreNetwork(ctx) },
			[]string{nas, other},
			nil,
		},
		{
			"NAS from one node", func() error { return node.CutNAS(ctx) }, func() error { return node.RestoreNAS(ctx) },
			[]string{nas, smb, iscsi},
			[]string{other},
		},
		{
			"peer", func() error { return node.CutPeer(ctx, peer) }, func() error { return node.RestorePeer(ctx, peer) },
			[]string{other},
			[]string{nas, smb, iscsi},
		},
		{
			"iSCSI stopped", func() error { return l.NAS().ISCSI.Stop(ctx) }, func() error { return l.NAS().ISCSI.Start(ctx) },
			[]string{iscsi},
			[]string{nas, smb},
		},
		{
			"iSCSI hangs", func() error { return l.NAS().ISCSI.Hang(ctx) }, func() error { return l.NAS().ISCSI.Continue(ctx) },
			[]string{iscsi},
			[]string{nas, smb},
		},
		{
			"SMB stopped", func() error { return l.NAS().SMB.Stop(ctx) }, func() error { return l.NAS().SMB.Start(ctx) },
			[]string{smb},
			[]string{nas, iscsi},
		},
		{
			"healed", func() error { return node.CutNAS(ctx) }, func() error { return l.Heal(ctx) },
			[]string{nas},
			[]string{other},
		},
	} {
		t.Run(fault.name, func(t *testing.T) {
			assert.NilError(t, fault.cut())
			for _, script := range fault.lost {
				result, err := node.Exec(ctx, script)
				assert.NilError(t, err)
				assert.Assert(t, result.Code != 0, "%s still works", script)
			}
			for _, script := range fault.remained {
				must(t, node, script)
			}
			assert.NilError(t, fault.restore())
			for _, script := range append(fault.lost, fault.remained...) {
				// The first packets may still run into a neighbour entry marked as failed.
				must(t, node, "for try in 1 2 3 4 5 6; do "+script+" && exit; sleep 0.5; done; exit 1")
			}
		})
	}

	t.Run("pause", func(t *testing.T) {
		assert.NilError(t, peer.Pause(ctx))
		result, err := node.Exec(ctx, other)
		assert.NilError(t, err)
		assert.Assert(t, result.Code != 0)
		assert.NilError(t, peer.Resume(ctx))
		must(t, node, other)
	})
	t.Run("full disk", func(t *testing.T) {
		must(t, node, "mkdir -p /mnt/small && mount -t tmpfs -o size=3M tmpfs /mnt/small")
		assert.NilError(t, node.FillDisk(ctx, "/mnt/small"))
		must(t, node, "! dd if=/dev/zero of=/mnt/small/file bs=1 count=1")
		assert.NilError(t, node.FreeDisk(ctx, "/mnt/small"))
		must(t, node, "dd if=/dev/zero of=/mnt/small/file bs=1M count=2 && umount /mnt/small")
	})
	t.Run("reboot", func(t *testing.T) {
		before := must(t, node, "cat /proc/sys/kernel/random/boot_id")
		must(t, node, "echo kept >/root/file")
		assert.NilError(t, node.Reboot(ctx))
		assert.Assert(t, must(t, node, "cat /proc/sys/kernel/random/boot_id") != before)
		assert.Equal(t, must(t, node, "cat /root/file"), "kept")
	})
}

// TestTwoLabs runs a second lab beside the shared one, with the same addresses.
func TestTwoLabs(t *testing.T) {
	first := shared.Lab(t)
	second := lab.ForTest(t, lab.Options{Memory: 512})
	must(t, first.Node(1), "echo first >/root/whose")
	must(t, second.Node(1), "[ ! -e /root/whose ]")
	device, err := second.Node(1).LoginISCSI(t.Context(), lab.MediaApps.Name)
	assert.NilError(t, err)
	must(t, second.Node(1), "dd if=/dev/zero bs=512 count=1 conv=fsync of="+device)
	assert.NilError(t, second.Stop())
	must(t, first.Node(1), "[ \"$(cat /root/whose)\" = first ] && ping -c 1 nas")
}

// traces are what a lab could leave on the host.
type traces struct {
	folder    string
	namespace string
}

func tracesOf(t *testing.T, l *lab.Lab) traces {
	t.Helper()
	folder := filepath.Dir(filepath.Dir(filepath.Dir(l.NAS().Share("torrents"))))
	namespace, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", lab.BoxPid(l)))
	assert.NilError(t, err)
	own, err := os.Readlink("/proc/self/ns/net")
	assert.NilError(t, err)
	assert.Assert(t, namespace != own)
	found := traces{folder: folder, namespace: namespace}
	assert.Assert(t, len(found.processes(t)) >= 4, "the search finds qemu, tgtd, smbd and the agent while they run")
	return found
}

// processes returns the command lines of processes in the lab's network namespace.
func (traces traces) processes(t *testing.T) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/ns/net")
	assert.NilError(t, err)
	var found []string
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && target == traces.namespace {
			command, _ := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(link)), "cmdline"))
			found = append(found, strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return found
}

func (traces traces) assertGone(t *testing.T) {
	t.Helper()
	assert.DeepEqual(t, traces.processes(t), []string(nil))
	_, err := os.Stat(traces.folder)
	assert.ErrorIs(t, err, fs.ErrNotExist)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	assert.NilError(t, err)
	assert.Assert(t, !strings.Contains(string(mounts), traces.folder), "a mount is left")
}
