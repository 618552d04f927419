package mounter

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
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

// nested is a cgroup that plays the root of a nested host, and a mounter to which it is the host's only hierarchy. The kernel
// itself refuses processes in it where this machine gives a controller to its cgroups (systemd does); else the refusal is injected.
func nested(t *testing.T) (string, *Linux) {
	t.Helper()
	root := filepath.Join(unifiedRoot(t), fmt.Sprintf("mounter-nested-%d", os.Getpid()))
	assert.NilError(t, os.Mkdir(root, 0o755))
	t.Cleanup(func() {
		_, _ = os.Remove(filepath.Join(root, initScope)), os.Remove(filepath.Join(root, ourLeaf)) // one of them is there
		assert.NilError(t, os.Remove(root))
	})
	linux := &Linux{proc: t.TempDir(), plain: true}
	assert.NilError(t, os.Mkdir(filepath.Join(linux.proc, "thread-self"), 0o755))
	table := "30 1 0:26 / " + root + " rw - cgroup2 cgroup rw\n"
	assert.NilError(t, os.WriteFile(filepath.Join(linux.proc, "thread-self/mountinfo"), []byte(table), 0o600))
	controllers, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	assert.NilError(t, err)
	for _, name := range []string{"memory", "io", "hugetlb"} { // not those of threads, which a populated cgroup may have
		if slices.Contains(strings.Fields(string(controllers)), name) {
			assert.NilError(t, os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+"+name), 0o600))
			return root, linux
		}
	}
	var refused []string
	linux.calls.fault = func(op string) error {
		if (op == "clone" || op == "cgroup.procs") && !slices.Contains(refused, op) {
			refused = append(refused, op)
			return unix.EBUSY
		}
		return nil
	}
	return root, linux
}

func TestANestedHostsRootTakesNoProcesses(t *testing.T) {
	for name, test := range map[string]struct{ there, leaf string }{
		"with systemd":        {initScope, initScope},
		"without systemd":     {"", ourLeaf},
		"for the second time": {ourLeaf, ourLeaf},
	} {
		t.Run(name, func(t *testing.T) {
			root, linux := nested(t)
			assert.NilError(t, os.MkdirAll(filepath.Join(root, test.there), 0o755))
			var output strings.Builder
			child, err := linux.startOutside(func(arguments ...string) *exec.Cmd {
				return &exec.Cmd{Path: arguments[0], Args: arguments, Stdout: &output, SysProcAttr: &syscall.SysProcAttr{}}
			}, []string{"/bin/cat", "/proc/self/cgroup"})
			assert.NilError(t, err)
			assert.NilError(t, child.Wait())
			assert.Assert(t, strings.Contains(output.String(), "0::/"+filepath.Base(root)+"/"+test.leaf+"\n"), output.String())
		})
	}
}

func TestANestedHostWithoutALeaf(t *testing.T) {
	linux := &Linux{calls: calls{fault: func(op string) error {
		return map[string]error{"cgroup.procs": unix.EBUSY, "mkdir": unix.EROFS}[op]
	}}}
	err := linux.moveOutside(os.Getpid(), "/sys/fs/cgroup/none")
	assert.ErrorIs(t, err, unix.EROFS)
	assert.ErrorContains(t, err, "/sys/fs/cgroup/none takes no processes")
}

func TestOwnCgroup(t *testing.T) {
	linux := &Linux{proc: "/none", plain: true, ownCgroup: true}
	var output strings.Builder
	child, err := linux.startOutside(func(arguments ...string) *exec.Cmd {
		return &exec.Cmd{Path: arguments[0], Args: arguments, Stdout: &output}
	}, []string{"/bin/cat", "/proc/self/cgroup"})
	assert.NilError(t, err)
	assert.NilError(t, child.Wait())
	own, err := os.ReadFile("/proc/self/cgroup")
	assert.NilError(t, err)
	assert.Equal(t, output.String(), string(own))
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
