package mounter

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/need"
)

// unifiedRoot is where this machine has cgroup v2, alone or beside v1.
func unifiedRoot(t *testing.T) string {
	t.Helper()
	need.Root(t)
	linux := &Linux{proc: "/proc", plain: true}
	_, unified, err := linux.cgroupRoots()
	assert.NilError(t, err)
	assert.Assert(t, unified != "", "this machine has no cgroup v2")
	return unified
}

func TestStartInACgroup(t *testing.T) {
	group := filepath.Join(unifiedRoot(t), fmt.Sprintf("mounter-test-%d", os.Getpid()))
	assert.NilError(t, os.Mkdir(group, 0o755))
	defer func() { assert.NilError(t, os.Remove(group)) }()
	var output strings.Builder
	build := func() *exec.Cmd {
		return &exec.Cmd{
			Path: "/bin/cat", Args: []string{"cat", "/proc/self/cgroup"}, Stdout: &output, SysProcAttr: &syscall.SysProcAttr{},
		}
	}
	linux := &Linux{}
	child := build()
	born, err := linux.startIn(child, group)
	assert.NilError(t, err)
	assert.Assert(t, born)
	assert.NilError(t, child.Wait())
	assert.Assert(t, strings.Contains(output.String(), "0::/"+filepath.Base(group)+"\n"), output.String())

	born, err = linux.startIn(build(), group+"-none")
	assert.NilError(t, err)
	assert.Assert(t, !born, "a cgroup that cannot take the child is no error: the other way is tried")
	missing := build()
	missing.Path = "/none"
	_, err = linux.startIn(missing, group)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// A child that cannot be moved must not run in the plugin's cgroup: it would be killed half-way with the plugin.
func TestWhatCannotBeMovedDoesNotRun(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "ran")
	child := exec.Command("/bin/sh", "-c", `read -r line && exec "$@" </dev/null`, "sh", "touch", marker)
	err := (&Linux{}).startAndMove(child, []string{t.TempDir() + "/none"})
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "exit status 1")
	_, err = os.Stat(marker)
	assert.ErrorIs(t, err, os.ErrNotExist)
}
