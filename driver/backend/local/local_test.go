package local_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/local"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

const (
	state = "/var/lib/homelab-storage"
	id    = "0123456789abcdef0123456789abcdef"
)

func volume() backend.Volume {
	return backend.Volume{ID: id, Name: "cache", Location: backend.Location{
		Kind: backend.Local, UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Mode: 0o1770,
	}}
}

func TestFolderIsMadeOnFirstUse(t *testing.T) {
	kernel := mountertest.New(t)
	storage := local.New(kernel, state)
	_, err := storage.Create(t.Context(), volume(), false)
	assert.NilError(t, err)
	folder := filepath.Join(kernel.HostPath(state), "local/volumes", id)
	_, err = os.Stat(folder)
	assert.ErrorIs(t, err, fs.ErrNotExist)
	assert.NilError(t, os.MkdirAll(folder+".new", 0o700), "what a crash left")
	for range 2 {
		staged, err := storage.Stage(t.Context(), volume())
		assert.NilError(t, err)
		assert.Equal(t, staged.Base, mounter.Place{Side: mounter.Host, Path: state + "/local/volumes"})
		assert.Equal(t, staged.Subdir, id)
	}
	info, err := os.Stat(folder)
	assert.NilError(t, err)
	assert.Equal(t, info.Mode(), fs.ModeDir|fs.ModeSticky|0o770)
	assert.NilError(t, os.WriteFile(filepath.Join(folder, "file"), nil, 0o600))
	for range 2 {
		assert.NilError(t, storage.Remove(t.Context(), volume()))
	}
	entries, err := os.ReadDir(filepath.Dir(folder))
	assert.NilError(t, err)
	assert.Equal(t, len(entries), 0)
}

func TestKeptAreTheFoldersOfThisNode(t *testing.T) {
	kernel := mountertest.New(t)
	storage := local.New(kernel, state)
	kept, err := storage.Kept(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, len(kept), 0)
	_, err = storage.Stage(t.Context(), volume())
	assert.NilError(t, err)
	folder := filepath.Join(kernel.HostPath(state), "local/volumes")
	for _, name := range []string{id + ".new", "fedcba9876543210fedcba9876543210.new", "lost+found"} {
		assert.NilError(t, os.MkdirAll(filepath.Join(folder, name), 0o700))
	}
	kept, err = storage.Kept(t.Context())
	assert.NilError(t, err)
	assert.DeepEqual(t, kept, []string{id, "fedcba9876543210fedcba9876543210"})
}

func TestMemory(t *testing.T) {
	kernel := mountertest.New(t)
	storage := local.New(kernel, state)
	request := backend.Request{Name: "t", Location: backend.Location{Memory: true, UID: 1, GID: 2, Mode: 0o700}}
	plan, err := storage.Plan(t.Context(), request)
	assert.NilError(t, err)
	assert.Equal(t, plan.Location.Size, int64(local.DefaultSize))
	staged, err := storage.Stage(t.Context(), backend.Volume{ID: id, Location: plan.Location})
	assert.NilError(t, err)
	assert.DeepEqual(t, staged.Tmpfs, &mounter.Tmpfs{Size: local.DefaultSize, UID: 1, GID: 2, Mode: 0o700})
	_, err = os.Stat(kernel.HostPath(state))
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

func TestPlanRefusesWhatBelongsElsewhere(t *testing.T) {
	storage := local.New(mountertest.New(t), state)
	_, err := storage.Plan(t.Context(), backend.Request{Device: "/x", Share: "s", Options: "bind", Username: "u", Location: backend.Location{
		Pool: "p", Subdir: "d", Credentials: "c", Size: 1 << 20,
	}})
	for _, name := range []string{`device="/x"`, `share="s"`, `o="bind"`, `username="u"`, `pool="p"`, `subdir="d"`, `credentials="c"`, "option size"} {
		assert.ErrorContains(t, err, name)
	}
}

func TestRemoveStopsAtMountsAndLinks(t *testing.T) {
	kernel := mountertest.New(t)
	storage := local.New(kernel, state)
	_, err := storage.Stage(t.Context(), volume())
	assert.NilError(t, err)
	target := state + "/local/volumes/" + id + "/disk"
	kernel.MountHost(target, mountertest.FileSystem{Type: "ext4", Source: "/dev/sdz"})
	precious := filepath.Join(kernel.HostPath(target), "precious")
	assert.NilError(t, os.WriteFile(precious, nil, 0o600))
	assert.ErrorContains(t, storage.Remove(t.Context(), volume()), "/dev/sdz is mounted at "+target)
	_, err = os.Stat(precious)
	assert.NilError(t, err)

	kernel.UnmountHost(target)
	folder := filepath.Join(kernel.HostPath(state), "local/volumes", id)
	outside := t.TempDir()
	assert.NilError(t, os.WriteFile(filepath.Join(outside, "precious"), nil, 0o600))
	assert.NilError(t, os.Symlink(outside, filepath.Join(folder, "link")))
	assert.NilError(t, storage.Remove(t.Context(), volume()))
	assert.NilError(t, os.Symlink(outside, folder))
	assert.ErrorContains(t, storage.Remove(t.Context(), volume()), "is a symbolic link")
	_, err = storage.Stage(t.Context(), volume())
	assert.ErrorContains(t, err, "is a symbolic link")
	_, err = os.Stat(filepath.Join(outside, "precious"))
	assert.NilError(t, err)
}

func TestHostileID(t *testing.T) {
	storage := local.New(mountertest.New(t), state)
	hostile := volume()
	hostile.ID = "../../../../../../../etc"
	assert.ErrorContains(t, storage.Remove(t.Context(), hostile), "32 hexadecimal digits")
	_, err := storage.Stage(t.Context(), hostile)
	assert.ErrorContains(t, err, "32 hexadecimal digits")
}
