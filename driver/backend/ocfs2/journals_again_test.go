package ocfs2_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// mountID is the ID of the pool's mount.
func (b *bench) mountID(t *testing.T) int {
	t.Helper()
	table, err := b.kernel.Table(t.Context(), mounter.Host)
	assert.NilError(t, err)
	for _, mount := range table {
		if mount.Target == poolPath {
			return mount.ID
		}
	}
	t.Fatal("the pool is not mounted")
	return 0
}

// remount has the pool unmounted and mounted with more slots, each after a time.
func (b *bench) remount(t *testing.T, off, on time.Duration) {
	t.Helper()
	time.AfterFunc(off, func() { b.kernel.UnmountHost(poolPath) })
	time.AfterFunc(on, func() {
		b.kernel.SetProgram("debugfs.ocfs2", moreSlots)
		b.kernel.MountHost(poolPath, disk())
	})
}

// A node is added: the pool is unmounted everywhere, and has more slots when it is mounted again. The kernel gives its mount the
// ID that the last one had.
func TestJournalsOfAPoolThatIsMountedAgain(t *testing.T) {
	for name, test := range map[string]struct {
		off, on, length time.Duration
		hold            bool // the disk's look before the unmount ends after the mount
		want            int  // looks at all of the disk
	}{
		"it was away":            {5 * time.Second, 9 * time.Second, 12 * time.Second, false, 2},
		"it was away in a look":  {7 * time.Second, 9 * time.Second, 20 * time.Second, true, 2},
		"nobody saw it was away": {5 * time.Second, 5500 * time.Millisecond, 605 * time.Second, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := mountedBench(t)
				b.kernel.SetProgram("debugfs.ocfs2", debugfs(diskStats))
				was := b.mountID(t)
				b.remount(t, test.off, test.on)
				if test.hold {
					time.AfterFunc(5*time.Second, func() {
						hold := b.kernel.Hold(mountertest.OpUncache, "/dev/sda")
						time.AfterFunc(7*time.Second, func() { b.kernel.Release(hold) })
					})
				}
				forgotten, said := b.uncached(t, test.length)
				assert.Equal(t, said, "")
				assert.Equal(t, b.mountID(t), was)
				whole := 0
				for _, action := range forgotten {
					if len(action.Args) == len(wholeDisk) {
						whole++
					}
				}
				assert.Equal(t, whole, test.want)
				assert.DeepEqual(t, forgotten[1].Args, twoJournals)
				assert.DeepEqual(t, forgotten[len(forgotten)-1].Args, threeJournals)
			})
		})
	}
}

// Where the journals were is not trusted when nothing tells where they are.
func TestJournalsThatAreNotFoundAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mountedBench(t)
		b.kernel.SetProgram("debugfs.ocfs2", debugfs(diskStats))
		time.AfterFunc(5*time.Second, func() { b.kernel.SetProgram("debugfs.ocfs2", program(1, "", "busy")) })
		forgotten, said := b.uncached(t, 13*time.Minute)
		assert.Equal(t, strings.Count(said, "where the pool's journals are is not known"), 1, said)
		assert.DeepEqual(t, forgotten[len(forgotten)-1].Args, wholeDisk)
	})
	synctest.Test(t, func(t *testing.T) {
		b := mountedBench(t)
		b.kernel.SetProgram("debugfs.ocfs2", debugfs(diskStats))
		time.AfterFunc(5*time.Second, func() { b.kernel.SetProgram("debugfs.ocfs2", program(1, "", "busy")) })
		time.AfterFunc(11*time.Minute, func() { b.kernel.SetProgram("debugfs.ocfs2", debugfs(diskStats)) })
		forgotten, _ := b.uncached(t, 13*time.Minute)
		assert.DeepEqual(t, forgotten[len(forgotten)-1].Args, twoJournals)
	})
}

// From a node's death to the replay of its journal there may be no more than 12 s.
func TestJournalsAreForgottenWhileTheyAreLookedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mountedBench(t)
		b.kernel.SetProgram("debugfs.ocfs2", debugfs(diskStats))
		var hold *mountertest.Hold
		time.AfterFunc(5*time.Second, func() { hold = b.kernel.Hold(mountertest.OpRun, "debugfs.ocfs2") })
		longest, last := time.Duration(0), time.Now()
		b.kernel.OnCall(func(action mountertest.Action) error {
			if action.Op == mountertest.OpUncache {
				longest, last = max(longest, time.Since(last)), time.Now()
			}
			return nil
		})
		forgotten, said := b.uncached(t, 15*time.Minute)
		b.kernel.Release(hold)
		assert.Equal(t, strings.Count(said, "where the pool's journals are is not known"), 1, said)
		assert.DeepEqual(t, forgotten[len(forgotten)-1].Args, wholeDisk)
		assert.Equal(t, longest, 10*time.Second)
	})
}
