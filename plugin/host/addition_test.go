package host

import (
	"bufio"
	"crypto/rand"
	"os/exec"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/need"
	"github.com/homelab-storage/homelab-storage/scripts/units"
)

// TestOrphansEnd has the addition to the engine's unit end a shim that runs nothing, and no other process.
func TestOrphansEnd(t *testing.T) {
	need.Programs(t, "scripts/deps base", "sh", "pgrep")
	_, after, found := strings.Cut(unitText(t, units.Engine), "ExecStartPre=-/bin/sh -c '")
	assert.Assert(t, found)
	script, _, found := strings.Cut(after, "'\n")
	assert.Assert(t, found)
	plugins, containers := "plugins."+rand.Text(), "containers."+rand.Text() // not those of an engine of this machine
	script = strings.ReplaceAll(strings.ReplaceAll(script, "$$", "$"), "plugins.moby", plugins)

	const alone, withChild = "echo; read line", "(echo; cat); :" // each ends with its input; the line is the child's
	orphan := shim(t, plugins, alone)
	others := []chan error{shim(t, plugins, withChild), shim(t, containers, alone)}
	assert.NilError(t, exec.CommandContext(t.Context(), "sh", "-c", script).Run())
	assert.ErrorContains(t, <-orphan, "killed")
	for _, other := range others {
		select {
		case err := <-other:
			t.Fatalf("one that is none of its business has ended: %v", err)
		default:
		}
	}
}

// shim starts a shell script, which first prints a line, that looks like the shim of a namespace. It runs until the test ends.
func shim(t *testing.T, namespace, script string) (ended chan error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "sh", "-c", script)
	command.Args[0] = "/usr/bin/containerd-shim-runc-v2 -namespace " + namespace + " -id 1"
	_, err := command.StdinPipe()
	assert.NilError(t, err)
	output, err := command.StdoutPipe()
	assert.NilError(t, err)
	assert.NilError(t, command.Start())
	_, err = bufio.NewReader(output).ReadString('\n')
	assert.NilError(t, err)
	ended = make(chan error, 1)
	go func() { ended <- command.Wait() }()
	return ended
}
