package mounter_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/mounter"
)

func TestBindReachesTheHost(t *testing.T) {
	f := newFixture(t)
	assert.Assert(t, !f.Plain())
	folder := f.poolFolder(t, "bind/db")
	assert.NilError(t, os.WriteFile(filepath.Join(folder, "row"), []byte("1"), 0o600))
	bind := mounter.Bind{Base: f.pool, Subdir: "bind/db", Target: f.target(t)}
	assert.NilError(t, f.Bind(t.Context(), bind))
	assert.NilError(t, os.WriteFile(filepath.Join(bind.Target, "written"), nil, 0o600))
	_, err := os.Stat(filepath.Join(folder, "written"))
	assert.NilError(t, err)
	hostView := f.HostPath(filepath.Join(f.folder, "propagated-mount", t.Name(), "row"))
	_, err = os.Stat(hostView)
	assert.NilError(t, err, "the engine must see the volume")

	mount, there := f.mounted(t, bind.Target)
	assert.Assert(t, there)
	assert.Equal(t, mount.Root, "/bind/db")
	assert.Equal(t, mount.FSType, "tmpfs")
	assert.Assert(t, mount.Peer != 0)
	fs, err := f.Filesystem(t.Context(), f.pool)
	assert.NilError(t, err)
	assert.Equal(t, fs.Device, mount.Device)
	host, err := f.Table(t.Context(), mounter.Host)
	assert.NilError(t, err)
	for _, line := range host {
		assert.Assert(t, line.Target != f.pool.Path || line.Peer != mount.Peer, "a bind must not be the pool's peer")
	}

	f.fault = func(op string) error {
		assert.Check(t, op != "open_tree", "giving a clone up again costs as much as making the mount")
		assert.Check(t, op != "mountinfo", "it is long on a node with many volumes")
		return nil
	}
	assert.NilError(t, f.Bind(t.Context(), bind), "an identical bind is success")
	f.fault = nil
	f.poolFolder(t, "bind/other")
	for name, other := range map[string]mounter.Bind{
		"directory": {Base: f.pool, Subdir: "bind/other", Target: bind.Target},
		"read-only": {Base: f.pool, Subdir: "bind/db", Target: bind.Target, ReadOnly: true},
	} {
		err := f.Bind(t.Context(), other)
		assert.ErrorIs(t, err, unix.EEXIST, name)
		assert.ErrorContains(t, err, "mounted there already")
	}
	assert.NilError(t, f.Unmount(t.Context(), bind.Target))
	f.assertGone(t, bind.Target)
	assert.NilError(t, f.Unmount(t.Context(), bind.Target), "not mounted is success")
	_, err = os.Stat(hostView)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestBindReadOnly(t *testing.T) {
	f := newFixture(t)
	folder := f.poolFolder(t, "readonly")
	bind := mounter.Bind{Base: f.pool, Subdir: "readonly", Target: f.target(t), ReadOnly: true}
	assert.NilError(t, f.Bind(t.Context(), bind))
	assert.NilError(t, f.Bind(t.Context(), bind))
	err := os.WriteFile(filepath.Join(bind.Target, "x"), nil, 0o600)
	assert.ErrorIs(t, err, unix.EROFS)
	assert.NilError(t, os.WriteFile(filepath.Join(folder, "x"), nil, 0o600), "the pool itself stays writable")
	assert.NilError(t, f.Unmount(t.Context(), bind.Target))
}

// What was proven a moment ago may have been unmounted since, and a folder of the same name may be below it.
func TestBindOfAnotherFileSystem(t *testing.T) {
	f := newFixture(t)
	f.poolFolder(t, "proven")
	bind := mounter.Bind{Base: f.pool, Subdir: "proven", Target: f.target(t), Device: "0:1"}
	assert.ErrorIs(t, f.Bind(t.Context(), bind), unix.EXDEV)
	f.assertGone(t, bind.Target)
	facts, err := f.Filesystem(t.Context(), f.pool)
	assert.NilError(t, err)
	bind.Device = facts.Device
	for range 2 { // a second one finds the first
		assert.NilError(t, f.Bind(t.Context(), bind))
	}
	assert.NilError(t, f.Unmount(t.Context(), bind.Target))
}

func TestBindRefusesWhatLeavesTheBase(t *testing.T) {
	f := newFixture(t)
	folder := f.poolFolder(t, "refuse")
	assert.NilError(t, os.Symlink("/etc", filepath.Join(folder, "link")))
	assert.NilError(t, os.WriteFile(filepath.Join(folder, "file"), nil, 0o600))
	for subdir, want := range map[string]error{
		"refuse/link": unix.ELOOP, "refuse/link/ssh": unix.ELOOP, "refuse/file": unix.ENOTDIR, "refuse/none": unix.ENOENT,
		"..": unix.EXDEV, "refuse/../../x": unix.EXDEV, "/etc": unix.EXDEV,
	} {
		err := f.Bind(t.Context(), mounter.Bind{Base: f.pool, Subdir: subdir, Target: f.target(t)})
		assert.ErrorIs(t, err, want, subdir)
		f.assertGone(t, f.target(t))
	}
	for name, bind := range map[string]mounter.Bind{
		"relative target": {Base: f.pool, Target: "volumes/x"},
		"unclean target":  {Base: f.pool, Target: f.target(t) + "/../x"},
		"mask path":       {Base: f.pool, Target: f.target(t), Mask: []string{"a/b"}},
		"mask parent":     {Base: f.pool, Target: f.target(t), Mask: []string{".."}},
	} {
		assert.ErrorIs(t, f.Bind(t.Context(), bind), unix.EINVAL, name)
	}
}

func TestBindMasked(t *testing.T) {
	f := newFixture(t)
	f.poolFolder(t, "masked/data")
	private := f.poolFolder(t, "masked/private")
	assert.NilError(t, os.WriteFile(filepath.Join(private, "secret"), nil, 0o600))
	bind := mounter.Bind{Base: f.pool, Subdir: "masked", Target: f.target(t), ReadOnly: true, Mask: []string{"private"}}
	assert.NilError(t, f.Bind(t.Context(), bind))
	assert.NilError(t, f.Bind(t.Context(), bind))
	masked := func(root string) {
		t.Helper()
		entries, err := os.ReadDir(filepath.Join(root, "private"))
		assert.NilError(t, err)
		assert.Equal(t, len(entries), 0)
		_, err = os.Stat(filepath.Join(root, "data"))
		assert.NilError(t, err)
		assert.ErrorIs(t, os.Mkdir(filepath.Join(root, "private", "x"), 0o700), unix.EROFS)
	}
	masked(bind.Target)
	masked(f.HostPath(filepath.Join(f.folder, "propagated-mount", t.Name())))
	_, err := os.Stat(filepath.Join(private, "secret"))
	assert.NilError(t, err, "the pool itself is not masked")
	other := bind
	other.Mask = []string{"data"}
	assert.ErrorContains(t, f.Bind(t.Context(), other), "with masks")

	file, err := os.Open(filepath.Join(bind.Target, "data"))
	assert.NilError(t, err)
	assert.ErrorIs(t, f.Unmount(t.Context(), bind.Target), unix.EBUSY)
	masked(bind.Target)
	assert.NilError(t, file.Close())
	assert.NilError(t, f.Unmount(t.Context(), bind.Target))
	f.assertGone(t, bind.Target)
}

func TestUnmountKeepsAFolderWithFiles(t *testing.T) {
	f := newFixture(t)
	target := f.target(t)
	assert.NilError(t, os.Mkdir(target, 0o700))
	assert.NilError(t, os.WriteFile(filepath.Join(target, "stray"), nil, 0o600))
	err := f.Unmount(t.Context(), target)
	assert.ErrorIs(t, err, unix.ENOTEMPTY)
	assert.ErrorContains(t, err, "is not empty")
	_, there := f.mounted(t, target)
	assert.Assert(t, !there)
	assert.NilError(t, os.Remove(filepath.Join(target, "stray")))
	assert.NilError(t, f.Unmount(t.Context(), target))
	f.assertGone(t, target)
}

func TestLateBindIsUndone(t *testing.T) {
	f := newFixture(t)
	f.poolFolder(t, "late")
	reached, open := make(chan struct{}), make(chan struct{})
	var once sync.Once
	f.fault = func(op string) error {
		if op == "move_mount" {
			once.Do(func() { close(reached); <-open })
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	bind := mounter.Bind{Base: f.pool, Subdir: "late", Target: f.target(t)}
	go func() { result <- f.Bind(ctx, bind) }()
	<-reached
	cancel()
	err := <-result
	assert.ErrorIs(t, err, mounter.ErrStuck)
	assert.ErrorContains(t, err, "the kernel has not answered in time (since ")
	assert.ErrorIs(t, f.Unmount(t.Context(), bind.Target), mounter.ErrBusy)
	close(open)
	eventually(t, "the late mount and its folder are gone", func() bool {
		_, err := os.Lstat(bind.Target)
		return errors.Is(err, os.ErrNotExist)
	})
	f.assertGone(t, bind.Target)
	eventually(t, "the target is free again", func() bool { return f.Bind(t.Context(), bind) == nil })
	assert.NilError(t, f.Unmount(t.Context(), bind.Target))
}

// Every system call of a masked bind and its unmount fails once; nothing may be left, and nothing may be seen unmasked.
func TestEveryFaultLeavesNothing(t *testing.T) {
	f := newFixture(t)
	private := f.poolFolder(t, "faults/private")
	assert.NilError(t, os.WriteFile(filepath.Join(private, "secret"), nil, 0o600))
	bind := mounter.Bind{Base: f.pool, Subdir: "faults", Target: f.target(t), ReadOnly: true, Mask: []string{"private"}}
	var failed []string
	for n := 1; ; n++ {
		count := 0
		f.fault = func(op string) error {
			if count++; count == n {
				failed = append(failed, op)
				return unix.EIO
			}
			return nil
		}
		err := f.Bind(t.Context(), bind)
		if err == nil {
			_, err := os.Stat(filepath.Join(bind.Target, "private", "secret"))
			assert.ErrorIs(t, err, os.ErrNotExist)
			err = f.Unmount(t.Context(), bind.Target)
			if count < n {
				assert.NilError(t, err)
				break
			}
			assert.ErrorIs(t, err, unix.EIO)
		} else {
			assert.ErrorIs(t, err, unix.EIO)
		}
		f.fault = nil
		if err != nil {
			_, err := os.Stat(filepath.Join(bind.Target, "private", "secret"))
			assert.ErrorIs(t, err, os.ErrNotExist, "after %v", failed)
		}
		assert.NilError(t, f.Unmount(t.Context(), bind.Target))
		f.assertGone(t, bind.Target)
	}
	for _, op := range []string{"setns", "openat2", "open_tree", "mount_setattr", "unshare", "fsopen", "fsmount", "move_mount", "umount2", "rmdir"} {
		assert.Assert(t, slices.Contains(failed, op), "%s was never failed: %v", op, failed)
	}
	t.Logf("measured: %d system calls failed one after the other", len(failed))
}

func TestBindOfAShare(t *testing.T) {
	f := newFixture(t)
	share := filepath.Join(f.folder, "shares", "a")
	assert.NilError(t, f.MountTmpfs(t.Context(), mounter.Tmpfs{Target: share, Size: 1 << 20, Mode: 0o755}))
	assert.NilError(t, os.MkdirAll(filepath.Join(share, "films/new"), 0o755))
	base := mounter.Place{Side: mounter.Plugin, Path: share}
	assert.NilError(t, f.Bind(t.Context(), mounter.Bind{Base: base, Subdir: "films", Target: f.target(t)}))
	assert.NilError(t, f.Unmount(t.Context(), share), "binds keep the file system, not the mount")
	_, err := os.Stat(filepath.Join(f.target(t), "new"))
	assert.NilError(t, err)
	assert.NilError(t, f.Unmount(t.Context(), f.target(t)))
}

// BenchmarkBind is one Mount and one Unmount of a volume, as far as the kernel is concerned.
func BenchmarkBind(b *testing.B) {
	f := newFixture(b)
	bind := mounter.Bind{Base: f.pool, Target: filepath.Join(f.folder, "volumes", "benchmark")}
	for b.Loop() {
		assert.NilError(b, f.Bind(b.Context(), bind))
		assert.NilError(b, f.Unmount(b.Context(), bind.Target))
	}
}
