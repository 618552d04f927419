//go:build integration

package integration

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/engine"
)

// TestRelease releases as a maintainer does, and finds in each tag the program of its architecture.
func TestRelease(t *testing.T) {
	e := bare(t, engine.Options{})
	address, err := e.StartRegistry(t.Context())
	assert.NilError(t, err)
	repository := address + "/homelab-storage"
	text, err := script(t, e, "release", repository, "latest")
	assert.ErrorContains(t, err, "exit status 2")
	assert.Assert(t, strings.Contains(text, `"latest" is not a version`), text)

	text, err = script(t, e, "release", repository, "1.0.0")
	assert.NilError(t, err, text)
	assert.Equal(t, text, fmt.Sprintf("pushed %[1]s:1.0.0 (amd64)\npushed %[1]s:1.0.0-arm64 (arm64)\n", repository))
	assert.Equal(t, ok(t, e, "plugin", "ls", "--quiet"), "") // nothing is left on the engine
	root := ok(t, e, "info", "--format", "{{.DockerRootDir}}")
	for tag, machine := range map[string]elf.Machine{":1.0.0": elf.EM_X86_64, ":1.0.0-arm64": elf.EM_AARCH64} {
		ok(t, e, "plugin", "install", "--disable", "--alias", "homelab-storage", "--grant-all-permissions", repository+tag)
		programs, err := filepath.Glob(e.Path(root, "plugins/*/rootfs/homelab-storage"))
		assert.NilError(t, err)
		assert.Equal(t, len(programs), 1, "%q", programs)
		program, err := elf.Open(programs[0])
		assert.NilError(t, err)
		assert.Equal(t, program.Machine, machine, tag)
		assert.NilError(t, program.Close())
		ok(t, e, "plugin", "rm", driver)
	}
}

// TestInstall installs as the README says: a setting that is not taken is no installation.
func TestInstall(t *testing.T) {
	e := bare(t, engine.Options{})
	for _, wrong := range []string{"POOL_NAM=media-apps", "STANDALONE"} {
		text, err := script(t, e, "install", "LOG_LEVEL=debug", wrong)
		assert.ErrorContains(t, err, "exit status 2")
		assert.Equal(t, text, "install: "+wrong+" is not NAME=VALUE with the name of a setting; docs/settings.md lists them\n")
	}
	assert.Equal(t, ok(t, e, "plugin", "ls", "--quiet"), "")
	for _, settings := range [][]string{{"STANDALONE=true", "LOG_LEVEL=debug"}, nil} { // the second time the first one's are kept
		text, err := script(t, e, "install", settings...)
		assert.NilError(t, err, text)
		set := ok(t, e, "plugin", "inspect", "--format", `{{.Enabled}} {{join .Settings.Env " "}}`, driver)
		for _, want := range []string{"true ", " STANDALONE=true ", " LOG_LEVEL=debug "} {
			assert.Assert(t, strings.Contains(set, want), set)
		}
	}
}

// script runs one of scripts against an engine.
func script(t *testing.T, e *engine.Engine, name string, arguments ...string) (output string, err error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "../scripts/"+name, arguments...)
	command.Env = append(os.Environ(), e.Environment()...)
	text, err := command.CombinedOutput()
	return string(text), err
}
