package mountertest_test

import (
	"errors"
	"net/netip"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

func TestAnswers(t *testing.T) {
	kernel := mountertest.New(t)
	user := mounter.User{PID: 7, Name: "radarr", Target: "/config"}
	kernel.SetUsers("/mnt/volumes/a", user)
	users, err := kernel.Users(t.Context(), []string{"/mnt/volumes/a", "/mnt/volumes/b"})
	assert.NilError(t, err)
	assert.DeepEqual(t, users, map[string][]mounter.User{"/mnt/volumes/a": {user}})

	kernel.SetAddresses("nas.local", netip.MustParseAddr("192.0.2.1"))
	addresses, err := kernel.Resolve(t.Context(), "nas.local")
	assert.NilError(t, err)
	assert.Equal(t, addresses[0].String(), "192.0.2.1")
	_, err = kernel.Resolve(t.Context(), "other")
	assert.ErrorIs(t, err, mounter.ErrNoAddress)
	addresses, err = kernel.Resolve(t.Context(), "::1")
	assert.NilError(t, err)
	assert.Assert(t, addresses[0].IsLoopback())

	kernel.SetCluster(uuid, mounter.Cluster{Name: "lab", Node: 1, Region: true, Live: []int{0, 1}})
	cluster, err := kernel.Cluster(t.Context(), uuid)
	assert.NilError(t, err)
	assert.DeepEqual(t, cluster.Live, []int{0, 1})
	cluster, err = kernel.Cluster(t.Context(), "another")
	assert.NilError(t, err)
	assert.Assert(t, !cluster.Region && cluster.Live == nil)
}

func TestTmpfsIsNewEachTime(t *testing.T) {
	kernel := mountertest.New(t)
	spec := mounter.Tmpfs{Target: kernel.Temp() + "/t", Size: 1 << 20, Mode: 0o755}
	for range 2 {
		assert.NilError(t, kernel.MountTmpfs(t.Context(), spec))
		assert.NilError(t, os.Mkdir(spec.Target+"/x", 0o755))
		fs, err := kernel.Filesystem(t.Context(), mounter.Place{Side: mounter.Plugin, Path: spec.Target})
		assert.NilError(t, err)
		assert.Equal(t, fs.Size, uint64(1<<20))
		assert.NilError(t, kernel.Unmount(t.Context(), spec.Target))
	}
}

func TestDoAndTheHook(t *testing.T) {
	kernel := mountertest.New(t)
	cause := errors.New("mine")
	assert.Equal(t, kernel.Do(t.Context(), "k", func() error { return cause }), cause, "work's own error is passed on as it is")
	kernel.OnCall(func(action mountertest.Action) error {
		if action.Op == mountertest.OpDo {
			return unix.EIO
		}
		return nil
	})
	assert.ErrorIs(t, kernel.Do(t.Context(), "k", func() error { t.Error("it ran"); return nil }), unix.EIO)
	kernel.OnCall(func(mountertest.Action) error { runtime.Goexit(); return nil })
	_, err := kernel.Table(t.Context(), mounter.Host)
	assert.ErrorIs(t, err, mounter.ErrStuck)
}

func TestAFolderWithFilesComesBackAndStays(t *testing.T) {
	kernel, base := pool(t)
	target := kernel.Temp() + "/v"
	assert.NilError(t, os.MkdirAll(target+"/stray", 0o755))
	assert.NilError(t, kernel.Bind(t.Context(), mounter.Bind{Base: base, Target: target}))
	_, err := os.Stat(target + "/stray")
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorIs(t, kernel.Unmount(t.Context(), target), unix.ENOTEMPTY)
	_, err = os.Stat(target + "/stray")
	assert.NilError(t, err)
}

func TestMasksAreInTheTable(t *testing.T) {
	kernel, base := pool(t)
	bind := mounter.Bind{Base: base, Target: "/mnt/volumes/backup", ReadOnly: true, Mask: []string{"radarr"}}
	assert.NilError(t, kernel.Bind(t.Context(), bind))
	table, err := kernel.Table(t.Context(), mounter.Plugin)
	assert.NilError(t, err)
	assert.Equal(t, table[len(table)-1].Target, "/mnt/volumes/backup/radarr")
	bind.Mask = nil
	assert.NilError(t, kernel.Bind(t.Context(), bind), "none is asked for")
	assert.NilError(t, kernel.Unmount(t.Context(), bind.Target))
}

func TestTheIDOfAMountIsGivenAgain(t *testing.T) {
	kernel := mountertest.New(t)
	id := func(target string) int {
		kernel.MountHost(target, mountertest.FileSystem{Type: "ext4", Source: "/dev/vdb"})
		table, err := kernel.Table(t.Context(), mounter.Host)
		assert.NilError(t, err)
		return table[len(table)-1].ID
	}
	first, second := id("/mnt/a"), id("/mnt/b")
	assert.Equal(t, second, first+1)
	kernel.UnmountHost("/mnt/a")
	assert.Equal(t, id("/mnt/c"), first)
	assert.Equal(t, id("/mnt/a"), second+1)
}
