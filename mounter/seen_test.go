package mounter_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/mounter"
)

// The engine takes the shared folder of a plugin away that it has just started: what is mounted then is seen by no container, and is no
// mount.
func TestMountThatTheEngineDoesNotSee(t *testing.T) {
	f := newFixture(t)
	f.options.TargetRoot = filepath.Join(f.folder, "second-volumes")
	linux, err := mounter.New(f.options)
	assert.NilError(t, err)
	f.poolFolder(t, "seen")
	target := filepath.Join(f.options.TargetRoot, "seen")
	bind := mounter.Bind{Base: f.pool, Subdir: "seen", Target: target}
	tmpfs := mounter.Tmpfs{Target: target, Size: 4096, Mode: 0o700}

	assert.NilError(t, linux.Bind(t.Context(), bind))
	assert.NilError(t, linux.Bind(t.Context(), bind), "again")
	var inside, outside unix.Stat_t
	assert.NilError(t, unix.Stat(target, &inside))
	assert.NilError(t, unix.Stat(f.HostPath(filepath.Join(f.folder, "second/seen")), &outside))
	assert.Equal(t, inside.Ino, outside.Ino)
	assert.NilError(t, linux.Unmount(t.Context(), target))
	assert.NilError(t, linux.MountTmpfs(t.Context(), tmpfs))
	assert.NilError(t, linux.Unmount(t.Context(), target))
	assert.NilError(t, linux.Bind(t.Context(), bind))
	there := tmpfs
	there.Target += ".there"
	assert.NilError(t, linux.MountTmpfs(t.Context(), there))
	assert.ErrorIs(t, linux.MountTmpfs(t.Context(), there), unix.EEXIST)

	f.asHost(t, "umount", "--lazy", filepath.Join(f.folder, "second"), f.options.TargetRoot)
	assert.ErrorIs(t, linux.Bind(t.Context(), bind), mounter.ErrUnseen)
	_, err = os.Lstat(target)
	assert.ErrorIs(t, err, os.ErrNotExist, "it is still mounted")
	assert.ErrorIs(t, linux.MountTmpfs(t.Context(), there), mounter.ErrUnseen)
	assert.ErrorIs(t, linux.MountTmpfs(t.Context(), tmpfs), mounter.ErrUnseen)
	_, err = os.Lstat(target)
	assert.ErrorIs(t, err, os.ErrNotExist, "it is still mounted")
}

// A mount that is taken away before it is looked at leaves one bare folder, which both sides see.
func TestMountThatIsTakenAwayAtOnce(t *testing.T) {
	f := newFixture(t)
	f.poolFolder(t, "taken")
	target := f.target(t)
	f.fault = func(op string) error {
		if op == "statx" {
			_ = unix.Unmount(target, unix.MNT_DETACH) // before it is mounted there is nothing to take
		}
		return nil
	}
	assert.ErrorIs(t, f.Bind(t.Context(), mounter.Bind{Base: f.pool, Subdir: "taken", Target: target}), mounter.ErrUnseen)
	_, err := os.Lstat(target)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// What a container wrote into a bare folder is not hidden by a mount, and told with its place on the host.
func TestFilesUnderTheMount(t *testing.T) {
	f := newFixture(t)
	f.poolFolder(t, "under")
	target := f.target(t)
	assert.NilError(t, os.Mkdir(target, 0o700))
	assert.NilError(t, os.WriteFile(filepath.Join(target, "row"), nil, 0o600))
	bind := mounter.Bind{Base: f.pool, Subdir: "under", Target: target}
	err := f.Bind(t.Context(), bind)
	assert.ErrorIs(t, err, unix.ENOTEMPTY)
	assert.Assert(t, strings.HasPrefix(err.Error(), "the folder "), err.Error())
	assert.ErrorContains(t, err, "the folder "+filepath.Join(f.folder, "propagated-mount", t.Name())+" under the mount")
	assert.ErrorIs(t, f.MountTmpfs(t.Context(), mounter.Tmpfs{Target: target, Size: 4096, Mode: 0o700}), unix.ENOTEMPTY)
	assert.NilError(t, os.Remove(filepath.Join(target, "row")))
	assert.NilError(t, f.Bind(t.Context(), bind))
	assert.NilError(t, f.Unmount(t.Context(), target))
}

// Where the host's / is shared, what the plugin mounts arrives there also without the engine's own mount.
func TestMountIsSeenBelowAPeer(t *testing.T) {
	f := newFixture(t)
	f.poolFolder(t, "peer")
	engine := filepath.Join(f.folder, "propagated-mount")
	for _, folder := range []string{engine, f.options.TargetRoot} { // the fixture's host has it twice
		f.asHost(t, "umount", "--lazy", folder)
		t.Cleanup(func() { f.asHost(t, "mount", "--bind", engine, folder) })
	}
	target := f.target(t)
	assert.NilError(t, f.Bind(t.Context(), mounter.Bind{Base: f.pool, Subdir: "peer", Target: target}))
	var inside, outside unix.Stat_t
	assert.NilError(t, unix.Stat(target, &inside))
	assert.NilError(t, unix.Stat(f.HostPath(filepath.Join(engine, t.Name())), &outside))
	assert.Equal(t, inside.Ino, outside.Ino)
	assert.NilError(t, f.Unmount(t.Context(), target))
}

// asHost runs a program on the host, also at the end of a test.
func (f *fixture) asHost(t *testing.T, name string, arguments ...string) {
	t.Helper()
	output, err := f.Run(context.WithoutCancel(t.Context()), mounter.Command{Name: name, Args: arguments})
	assert.Check(t, err)
	assert.Check(t, output.Code == 0, output.Stderr)
}
