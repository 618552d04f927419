//go:build lab

package box_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/lab"
	"github.com/homelab-storage/homelab-storage/integration/lab/box"
)

// ownerVariable tells a copy of the test binary to own a box until it is killed.
const ownerVariable = "LAB_BOX_OWNER"

func buildAgent(t *testing.T) string {
	t.Helper()
	lab.Require(t)
	agent := filepath.Join(t.TempDir(), "agent")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", agent, "../agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	output, err := build.CombinedOutput()
	assert.NilError(t, err, string(output))
	return agent
}

func TestBoxIsApart(t *testing.T) {
	b, err := box.Start(t.Context(), box.Options{Agent: buildAgent(t), Log: os.Stderr})
	assert.NilError(t, err)
	for _, test := range []struct{ script, want string }{
		{"ip -o link | wc -l", "1"},
		{"ls /run", "lab"},
		{"cat /proc/1/comm", "agent"},
		{"mkdir /run/m && mount -t tmpfs none /run/m && grep -c ' /run/m ' /proc/self/mountinfo", "1"},
	} {
		got, err := b.Output(t.Context(), test.script)
		assert.NilError(t, err)
		assert.Equal(t, got, test.want, test.script)
	}
	host, err := os.ReadFile("/proc/self/mountinfo")
	assert.NilError(t, err)
	assert.Assert(t, !strings.Contains(string(host), " /run/m "))
	assert.NilError(t, b.Stop())
}

// TestOwner is not a test by itself: TestBoxDiesWithItsOwner runs it in a process of its own.
func TestOwner(t *testing.T) {
	agent := os.Getenv(ownerVariable)
	if agent == "" {
		return
	}
	b, err := box.Start(t.Context(), box.Options{Agent: agent})
	assert.NilError(t, err)
	_, err = b.Output(t.Context(), "setsid sleep 1000 >/dev/null 2>&1 & setsid sh -c 'trap \"\" TERM HUP INT; sleep 1000' >/dev/null 2>&1 &")
	assert.NilError(t, err)
	_, err = fmt.Fprintf(os.Stderr, "box %d\n", b.Pid())
	assert.NilError(t, err)
	<-t.Context().Done()
}

// However an owner ends, its box ends with it: here by SIGKILL, with daemons in the box that ignore
// every signal they can.
func TestBoxDiesWithItsOwner(t *testing.T) {
	owner := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOwner$")
	owner.Env = append(os.Environ(), ownerVariable+"="+buildAgent(t))
	report, err := owner.StderrPipe()
	assert.NilError(t, err)
	assert.NilError(t, owner.Start())
	var pid int
	_, err = fmt.Fscanf(report, "box %d\n", &pid)
	assert.NilError(t, err)
	namespace, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
	assert.NilError(t, err)
	assert.Assert(t, len(members(t, namespace)) >= 3, "the agent and the two daemons run")

	assert.NilError(t, owner.Process.Kill())
	_ = owner.Wait()
	deadline := time.After(10 * time.Second)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for len(members(t, namespace)) > 0 {
		select {
		case <-deadline:
			t.Fatalf("still alive: %s", members(t, namespace))
		case <-ticker.C:
		}
	}
}

// members returns the commands of the living processes of a PID namespace.
func members(t *testing.T, namespace string) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/ns/pid")
	assert.NilError(t, err)
	var found []string
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && target == namespace {
			command, _ := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(link)), "cmdline"))
			found = append(found, string(bytes.ReplaceAll(command, []byte{0}, []byte{' '})))
		}
	}
	return found
}
