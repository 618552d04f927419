package mounter_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/mounter"
)

func TestTmpfs(t *testing.T) {
	f := newFixture(t)
	spec := mounter.Tmpfs{Target: f.target(t), Size: 1 << 20, UID: 1000, GID: 100, Mode: 0o3750}
	assert.NilError(t, f.MountTmpfs(t.Context(), spec))
	var facts unix.Stat_t
	assert.NilError(t, unix.Stat(spec.Target, &facts))
	assert.Equal(t, facts.Uid, uint32(1000))
	assert.Equal(t, facts.Gid, uint32(100))
	assert.Equal(t, facts.Mode&0o7777, uint32(0o3750))
	fs, err := f.Filesystem(t.Context(), mounter.Place{Side: mounter.Plugin, Path: spec.Target})
	assert.NilError(t, err)
	assert.Equal(t, fs.Type, "tmpfs")
	assert.Equal(t, fs.Size, uint64(1<<20))
	assert.Equal(t, fs.Magic, int64(unix.TMPFS_MAGIC))
	assert.Assert(t, !fs.ReadOnly)
	assert.ErrorIs(t, f.MountTmpfs(t.Context(), spec), unix.EEXIST)
	assert.NilError(t, f.Sync(t.Context(), mounter.Place{Side: mounter.Plugin, Path: spec.Target}))
	assert.NilError(t, f.Unmount(t.Context(), spec.Target))
	f.assertGone(t, spec.Target)

	spec.Size = 0
	assert.ErrorIs(t, f.MountTmpfs(t.Context(), spec), unix.EINVAL)
	f.assertGone(t, spec.Target)
}

func TestStackedMountsComeOffOneByOne(t *testing.T) {
	f := newFixture(t)
	f.poolFolder(t, "stacked")
	target := f.target(t)
	assert.NilError(t, f.MountTmpfs(t.Context(), mounter.Tmpfs{Target: target, Size: 4096, Mode: 0o700}))
	assert.NilError(t, unix.Mount("upper", target, "tmpfs", 0, ""))
	assert.NilError(t, f.Unmount(t.Context(), target))
	mount, there := f.mounted(t, target)
	assert.Assert(t, there)
	assert.Equal(t, mount.Source, "homelab-storage")
	assert.NilError(t, f.Unmount(t.Context(), target))
	f.assertGone(t, target)
}

// The kernel of this machine may have no cifs: what is tested is that the error is its own and holds no secret.
func TestShareErrorsHoldNoSecret(t *testing.T) {
	f := newFixture(t)
	share := mounter.Share{
		Source: "//192.0.2.1/media", Target: f.target(t), User: "u", Password: mounter.NewSecret("hunter2,with comma"),
		Options: []mounter.Option{{Name: "no-such-option", Value: "x"}},
	}
	err := f.MountShare(t.Context(), share)
	assert.Assert(t, err != nil)
	var errno unix.Errno
	assert.Assert(t, asErrno(err, &errno), "%v", err)
	assert.Assert(t, !strings.Contains(err.Error(), "hunter2"))
	f.assertGone(t, share.Target)

	share.Password = mounter.NewSecret(strings.Repeat("hunter2", 40))
	err = f.MountShare(t.Context(), share)
	assert.ErrorIs(t, err, unix.EINVAL)
	assert.ErrorContains(t, err, "pass has 280 bytes; the kernel takes 255 at most")
	assert.Assert(t, !strings.Contains(err.Error(), "hunter2"))
}

func TestFilesystemOfTheHost(t *testing.T) {
	f := newFixture(t)
	fs, err := f.Filesystem(t.Context(), f.pool)
	assert.NilError(t, err)
	assert.Equal(t, fs.Type, "tmpfs")
	assert.Equal(t, fs.UUID, "")
	assert.NilError(t, f.Sync(t.Context(), f.pool))
	_, err = f.Filesystem(t.Context(), mounter.Place{Side: mounter.Plugin, Path: f.pool.Path})
	assert.NilError(t, err, "the mount point exists in the plugin, but the pool is not mounted there")
	table, err := f.Table(t.Context(), mounter.Plugin)
	assert.NilError(t, err)
	for _, mount := range table {
		assert.Assert(t, mount.Target != f.pool.Path)
	}
	_, err = f.Filesystem(t.Context(), mounter.Place{Side: mounter.Host, Path: f.pool.Path + "/none"})
	assert.ErrorIs(t, err, unix.ENOENT)
}

// A host thread must never be reused, and must never be the process's first (FACTS 1).
func TestHostThreadsDoNotLeakIntoTheProcess(t *testing.T) {
	f := newFixture(t)
	before, err := os.Readlink("/proc/self/ns/mnt")
	assert.NilError(t, err)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 20 {
				_, err := f.Filesystem(t.Context(), f.pool)
				assert.Check(t, err)
			}
		})
	}
	group.Wait()
	after, err := os.Readlink("/proc/self/ns/mnt")
	assert.NilError(t, err)
	assert.Equal(t, after, before)
	tasks, err := filepath.Glob("/proc/self/task/*/ns/mnt")
	assert.NilError(t, err)
	eventually(t, "no thread is left in another namespace", func() bool {
		for _, task := range tasks {
			if namespace, err := os.Readlink(task); err == nil && namespace != before {
				return false
			}
		}
		return true
	})
	for range 4 * runtime.NumCPU() {
		group.Go(func() {
			namespace, err := os.Readlink("/proc/thread-self/ns/mnt")
			assert.Check(t, err)
			assert.Check(t, namespace == before)
		})
	}
	group.Wait()
}

func TestHostPathStaysInTheHost(t *testing.T) {
	f := newFixture(t)
	folder := f.poolFolder(t, "hostpath/real")
	assert.NilError(t, os.Symlink(filepath.Join(f.pool.Path, "hostpath/real"), filepath.Join(folder, "../absolute")))
	assert.NilError(t, os.Symlink("../../../../../../../..", filepath.Join(folder, "../up")))
	assert.Equal(t, f.HostPath(f.pool.Path+"/hostpath/absolute"), folder)
	root := strings.TrimSuffix(folder, f.pool.Path+"/hostpath/real")
	assert.Equal(t, f.HostPath(f.pool.Path+"/hostpath/up/etc"), filepath.Join(root, "etc"))
	assert.Equal(t, f.HostPath("/none/at/all"), filepath.Join(root, "none/at/all"))
	assert.Assert(t, len(f.BootID()) == 36, f.BootID())
}
