package mounter_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/mounter"
)

func TestNewRefusesATargetRootThatContainersDoNotSee(t *testing.T) {
	f := newFixture(t)
	f.options.TargetRoot = filepath.Join(f.folder, "not-shared")
	_, err := mounter.New(f.options)
	assert.ErrorContains(t, err, "containers would not see volumes mounted there")
	f.options.TargetRoot = "volumes"
	_, err = mounter.New(f.options)
	assert.ErrorIs(t, err, unix.EINVAL)
	f.options.TargetRoot, f.options.HostPID = filepath.Join(f.folder, "volumes"), 1<<30
	_, err = mounter.New(f.options)
	assert.ErrorContains(t, err, "needs pidhost and CAP_SYS_PTRACE")
}

func TestPlainDaemon(t *testing.T) {
	f := newFixture(t)
	f.options.HostPID = os.Getpid()
	f.options.TargetRoot = filepath.Join(f.folder, "plain")
	plain, err := mounter.New(f.options)
	assert.NilError(t, err)
	assert.Assert(t, plain.Plain())
	assert.Equal(t, plain.HostPath("/a/../b"), "/b")
	assert.NilError(t, os.MkdirAll(filepath.Join(f.folder, "data/private"), 0o755))
	bind := mounter.Bind{
		Base: mounter.Place{Side: mounter.Host, Path: f.folder}, Subdir: "data", Target: f.options.TargetRoot + "/x",
		Mask: []string{"private"},
	}
	assert.NilError(t, plain.Bind(t.Context(), bind))
	host, err := plain.Table(t.Context(), mounter.Host)
	assert.NilError(t, err)
	own, err := plain.Table(t.Context(), mounter.Plugin)
	assert.NilError(t, err)
	assert.DeepEqual(t, host, own)
	users, err := plain.Users(t.Context(), []string{bind.Target})
	assert.NilError(t, err)
	assert.Equal(t, len(users), 0)
	output, err := plain.Run(t.Context(), shell("ls "+bind.Target))
	assert.NilError(t, err)
	assert.Equal(t, output.Stdout, "private\n")
	assert.NilError(t, plain.Unmount(t.Context(), bind.Target))
	_, err = os.Lstat(bind.Target)
	assert.ErrorIs(t, err, os.ErrNotExist)
}
