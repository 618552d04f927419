package ocfs2_test

import (
	"bytes"
	"context"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend/ocfs2"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

const (
	diskStats = "\tRoot Blknum: 5   System Dir Blknum: 6\n\tBlock Size Bits: 12   Cluster Size Bits: 13\n\tMax Node Slots: 2\n\tLabel: media-apps\n"
	journal0  = "\tTree Depth: 0   Count: 243   Next Free Rec: 1\n\t## Offset        Clusters       Block#          Flags\n\t0  0             8192           529             0x0 \n\n"
	journal1  = "\tTree Depth: 0   Count: 243   Next Free Rec: 2\n\t## Offset        Clusters       Block#          Flags\n\t0  0             7151           25105           0x0 \n\t1  7151          1041           40000           0x0 \n\n"
	journal2  = "\tTree Depth: 0   Count: 243   Next Free Rec: 1\n\t## Offset        Clusters       Block#          Flags\n\t0  0             8192           60000           0x0 \n\n"
)

// Where the journals are.
var (
	wholeDisk     = []string{"0+0"}
	twoJournals   = []string{"2166784+67108864", "102830080+58580992", "163840000+8527872"}
	threeJournals = []string{"2166784+67108864", "102830080+58580992", "163840000+8527872", "245760000+67108864"}
)

// debugfs answers for the host's debugfs.ocfs2.
func debugfs(text string) mountertest.Program {
	said := map[string]string{"stats": text, "stat //journal:0000": journal0, "stat //journal:0001": journal1}
	return func(_ context.Context, command mounter.Command) (mounter.Output, error) {
		return mounter.Output{Stdout: said[command.Args[1]]}, nil
	}
}

// moreSlots answers for the disk after tunefs.ocfs2 -N 3.
func moreSlots(ctx context.Context, command mounter.Command) (mounter.Output, error) {
	if command.Args[1] == "stat //journal:0002" {
		return mounter.Output{Stdout: journal2}, nil
	}
	return debugfs(strings.Replace(diskStats, "Slots: 2", "Slots: 3", 1))(ctx, command)
}

// uncached runs for a time, and gives what was forgotten and what was logged.
func (b *bench) uncached(t *testing.T, length time.Duration) (actions []mountertest.Action, said string) {
	t.Helper()
	var text bytes.Buffer
	log := logrus.New()
	log.SetOutput(&text)
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	ocfs2.NewJournals(b.kernel, b, logrus.NewEntry(log)).Run(ctx)
	return b.kernel.Actions(mountertest.OpUncache), text.String()
}

func TestJournals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mountedBench(t)
		b.kernel.SetProgram("debugfs.ocfs2", debugfs(diskStats))
		forgotten, said := b.uncached(t, 9*time.Second)
		assert.Equal(t, said, "")
		assert.Equal(t, len(forgotten), 6, "every two seconds")
		assert.DeepEqual(t, forgotten[0].Args, wholeDisk) // at once
		for _, action := range forgotten[1:] {
			assert.Equal(t, action.Target, "/dev/sda")
			assert.DeepEqual(t, action.Args, twoJournals)
		}
		assert.Equal(t, len(b.kernel.Actions(mountertest.OpRun)), 3, "they stay where they are while the pool is mounted")

		_, said = b.uncached(t, 25*time.Minute)
		assert.Equal(t, said, "")
		assert.Equal(t, len(b.kernel.Actions(mountertest.OpRun)), 3+3*3, "and are looked for every ten minutes")
	})
}

// When nothing tells where the journals are, all of the disk is forgotten, and they are looked for again.
func TestJournalsThatAreNotFound(t *testing.T) {
	for name, answer := range map[string]mountertest.Program{
		"no program":   nil,
		"an error":     program(1, "", "debugfs.ocfs2: Bad magic number"),
		"no numbers":   debugfs("Label: x"),
		"wrong number": debugfs(strings.Replace(diskStats, "12", "4096", 1)),
		"no number":    debugfs(strings.Replace(diskStats, "12", "x", 1)),
		"no extents":   debugfs(strings.Replace(diskStats, "Slots: 2", "Slots: 3", 1)),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := mountedBench(t)
				if answer != nil {
					b.kernel.SetProgram("debugfs.ocfs2", answer)
				}
				forgotten, said := b.uncached(t, 179*time.Second)
				assert.Equal(t, strings.Count(said, "where the pool's journals are is not known"), 1, said)
				assert.Equal(t, len(forgotten), 90+3, "every two seconds, and before they are looked for")
				for _, action := range forgotten {
					assert.DeepEqual(t, action.Args, wholeDisk)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		b := mountedBench(t)
		b.kernel.SetProgram("debugfs.ocfs2", func(ctx context.Context, command mounter.Command) (mounter.Output, error) {
			b.kernel.SetProgram("debugfs.ocfs2", debugfs(diskStats))
			return program(1, "", "busy")(ctx, command)
		})
		forgotten, _ := b.uncached(t, 65*time.Second)
		assert.DeepEqual(t, forgotten[0].Args, wholeDisk)
		assert.DeepEqual(t, forgotten[len(forgotten)-1].Args, twoJournals)
	})
}

// What is no OCFS2, or not the plugin's, is left alone; a pool that hangs holds up no other one.
func TestJournalsOfOtherDisks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.kernel.SetProgram("debugfs.ocfs2", debugfs(diskStats))
		b.kernel.MountHost("/mnt/other", disk())
		b.kernel.MountHost(poolPath, mountertest.FileSystem{Type: "ext4", Source: "/dev/sdx"})
		forgotten, said := b.uncached(t, 5*time.Second)
		assert.Assert(t, len(forgotten) == 0 && said == "", said)

		b = mountedBench(t)
		b.kernel.SetProgram("debugfs.ocfs2", debugfs(diskStats))
		second := disk()
		second.Source, second.UUID = "/dev/sdb", other
		b.kernel.MountHost("/mnt/iscsi/app-data", second)
		hold := b.kernel.Hold(mountertest.OpUncache, "/dev/sda")
		defer b.kernel.Release(hold)
		forgotten, _ = b.uncached(t, 9*time.Second)
		count := map[string]int{}
		for _, action := range forgotten {
			count[action.Target]++
		}
		assert.DeepEqual(t, count, map[string]int{"/dev/sda": 1, "/dev/sdb": 6}) // the one that hangs
	})
}

// A failure is told once, and nothing of it ends the looks.
func TestJournalsThatCannotBeForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mountedBench(t)
		b.kernel.SetProgram("debugfs.ocfs2", debugfs(diskStats))
		calls := 0
		b.kernel.OnCall(func(action mountertest.Action) error {
			if action.Op == mountertest.OpUncache {
				if calls++; calls < 4 {
					return syscall.EACCES
				}
			}
			return nil
		})
		_, said := b.uncached(t, 11*time.Second)
		assert.Equal(t, calls, 7)
		assert.Equal(t, strings.Count(said, "the cache may have old blocks of other nodes' journals"), 1, said)
	})
}
