package mountertest_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

const uuid = "0123456789ABCDEF0123456789ABCDEF"

func pool(t *testing.T) (*mountertest.Kernel, mounter.Place) {
	t.Helper()
	kernel := mountertest.New(t)
	kernel.MountHost("/mnt/pool", mountertest.FileSystem{Type: "ocfs2", UUID: uuid, Source: "/dev/sda"})
	assert.NilError(t, os.MkdirAll(kernel.HostPath("/mnt/pool/radarr/db"), 0o755))
	return kernel, mounter.Place{Side: mounter.Host, Path: "/mnt/pool"}
}

func TestBindShowsTheFilesAndUnmountTakesTheFolder(t *testing.T) {
	kernel, base := pool(t)
	target := filepath.Join(kernel.Temp(), "volumes", "radarr")
	bind := mounter.Bind{Base: base, Subdir: "radarr/db", Target: target, ReadOnly: true}
	assert.NilError(t, kernel.Bind(t.Context(), bind))
	assert.NilError(t, kernel.Bind(t.Context(), bind), "an identical bind is success")
	bind.Subdir = "radarr"
	assert.ErrorIs(t, kernel.Bind(t.Context(), bind), unix.EEXIST)

	assert.NilError(t, os.Mkdir(kernel.HostPath("/mnt/pool/radarr/db/here"), 0o755))
	_, err := os.Stat(filepath.Join(target, "here"))
	assert.NilError(t, err)
	table, err := kernel.Table(t.Context(), mounter.Plugin)
	assert.NilError(t, err)
	last := table[len(table)-1]
	assert.Equal(t, last.Root, "/radarr/db")
	assert.Equal(t, last.Target, target)
	assert.Assert(t, last.ReadOnly)

	kernel.SetBusy(target, true)
	assert.ErrorIs(t, kernel.Unmount(t.Context(), target), unix.EBUSY)
	kernel.SetBusy(target, false)
	assert.NilError(t, kernel.Unmount(t.Context(), target))
	assert.NilError(t, kernel.Unmount(t.Context(), target), "not mounted is success")
	_, err = os.Lstat(target)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestBindRefusals(t *testing.T) {
	kernel, base := pool(t)
	folder := kernel.HostPath("/mnt/pool")
	assert.NilError(t, os.Symlink("/etc", filepath.Join(folder, "link")))
	assert.NilError(t, os.WriteFile(filepath.Join(folder, "file"), nil, 0o600))
	for subdir, want := range map[string]error{
		"missing": unix.ENOENT, "link": unix.ELOOP, "link/x": unix.ELOOP, "file": unix.ENOTDIR, "..": unix.EXDEV, "/etc": unix.EXDEV,
	} {
		err := kernel.Bind(t.Context(), mounter.Bind{Base: base, Subdir: subdir, Target: "/mnt/volumes/x"})
		assert.ErrorIs(t, err, want, subdir)
	}
	err := kernel.Bind(t.Context(), mounter.Bind{Base: base, Target: "/mnt/volumes/x", Mask: []string{"none"}})
	assert.ErrorIs(t, err, unix.ENOENT)
	table, err := kernel.Table(t.Context(), mounter.Plugin)
	assert.NilError(t, err)
	assert.Equal(t, len(table), 1, "only the root")
}

func TestFilesystemFollowsMountsAndChanges(t *testing.T) {
	kernel, base := pool(t)
	fs, err := kernel.Filesystem(t.Context(), base)
	assert.NilError(t, err)
	assert.Equal(t, fs.UUID, uuid)
	assert.Equal(t, fs.Magic, int64(0x7461636f))
	kernel.ChangeHost("/mnt/pool", func(fs *mountertest.FileSystem) { fs.ReadOnly = true })
	fs, err = kernel.Filesystem(t.Context(), base)
	assert.NilError(t, err)
	assert.Assert(t, fs.ReadOnly)

	kernel.UnmountHost("/mnt/pool")
	fs, err = kernel.Filesystem(t.Context(), base)
	assert.NilError(t, err)
	assert.Equal(t, fs.Type, "ext4", "a plain folder of the root disk is left")
	_, err = os.Stat(kernel.HostPath("/mnt/pool/radarr"))
	assert.ErrorIs(t, err, os.ErrNotExist)

	kernel.MountHost("/mnt/pool", mountertest.FileSystem{Type: "ocfs2", UUID: uuid, Source: "/dev/sdb"})
	_, err = os.Stat(kernel.HostPath("/mnt/pool/radarr"))
	assert.NilError(t, err, "the files belong to the file system")
}

func TestShareKeepsItsFiles(t *testing.T) {
	kernel := mountertest.New(t)
	target := filepath.Join(kernel.Temp(), "shares", "a")
	share := mounter.Share{Source: "//nas/media", Target: target, Password: mounter.NewSecret("x")}
	assert.NilError(t, kernel.MountShare(t.Context(), share))
	assert.NilError(t, os.Mkdir(filepath.Join(target, "films"), 0o755))
	base := mounter.Place{Side: mounter.Plugin, Path: target}
	assert.NilError(t, kernel.Bind(t.Context(), mounter.Bind{Base: base, Subdir: "films", Target: "/mnt/volumes/films"}))
	assert.NilError(t, kernel.Unmount(t.Context(), target))
	_, err := os.Stat(filepath.Join(kernel.ShareFiles("//nas/media"), "films"))
	assert.NilError(t, err)
	fs, err := kernel.Filesystem(t.Context(), mounter.Place{Side: mounter.Plugin, Path: "/mnt/volumes/films"})
	assert.NilError(t, err)
	assert.Equal(t, fs.Type, "cifs")
}

func TestFaultsCountDown(t *testing.T) {
	kernel, base := pool(t)
	kernel.Fail(mountertest.OpSync, 2, unix.EIO)
	assert.NilError(t, kernel.Sync(t.Context(), base))
	assert.ErrorIs(t, kernel.Sync(t.Context(), base), unix.EIO)
	assert.NilError(t, kernel.Sync(t.Context(), base))
	kernel.FailNth(2, unix.EROFS)
	_, err := kernel.Filesystem(t.Context(), base)
	assert.NilError(t, err)
	_, err = kernel.Table(t.Context(), mounter.Host)
	assert.ErrorIs(t, err, unix.EROFS)
	assert.Equal(t, kernel.Calls(), 5)
	assert.Equal(t, len(kernel.Actions(mountertest.OpSync)), 3)
}

func TestHeldBindIsUndone(t *testing.T) {
	kernel, base := pool(t)
	target := "/mnt/volumes/x"
	bind := mounter.Bind{Base: base, Subdir: "radarr", Target: target}
	hold := kernel.Hold(mountertest.OpBind, target)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- kernel.Bind(ctx, bind) }()
	assert.NilError(t, hold.Reached(t.Context()))
	cancel()
	assert.ErrorIs(t, <-result, mounter.ErrStuck)
	err := kernel.Unmount(t.Context(), target)
	assert.ErrorIs(t, err, mounter.ErrBusy)
	var described *mounter.Error
	assert.Assert(t, errors.As(err, &described) && !described.Since.IsZero())
	assert.Equal(t, described.Target, target)

	kernel.Release(hold)
	ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for len(kernel.Actions(mountertest.OpUndo)) == 0 {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatal("the late bind was not undone")
		}
	}
	table, err := kernel.Table(t.Context(), mounter.Plugin)
	assert.NilError(t, err)
	assert.Equal(t, len(table), 1)
}

func TestProgramsMayMount(t *testing.T) {
	kernel := mountertest.New(t)
	_, err := kernel.Run(t.Context(), mounter.Command{Name: "mount.ocfs2"})
	assert.ErrorIs(t, err, unix.ENOENT)
	kernel.SetProgram("mount.ocfs2", func(_ context.Context, command mounter.Command) (mounter.Output, error) {
		kernel.MountHost(command.Args[1], mountertest.FileSystem{Type: "ocfs2", UUID: uuid, Source: command.Args[0]})
		return mounter.Output{Code: 3}, nil
	})
	output, err := kernel.Run(t.Context(), mounter.Command{Name: "mount.ocfs2", Args: []string{"/dev/sda", "/mnt/p"}})
	assert.NilError(t, err)
	assert.Equal(t, output.Code, 3)
	table, err := kernel.Table(t.Context(), mounter.Host)
	assert.NilError(t, err)
	assert.Equal(t, table[len(table)-1].Target, "/mnt/p")
	kernel.Reboot("another")
	table, err = kernel.Table(t.Context(), mounter.Host)
	assert.NilError(t, err)
	assert.Equal(t, len(table), 1)
	assert.Equal(t, kernel.BootID(), "another")
}
