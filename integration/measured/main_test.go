package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

func TestShow(t *testing.T) {
	const said = `{"Action":"start","Package":"github.com/homelab-storage/homelab-storage/driver"}
# a line of the compiler
{"Action":"output","Package":"github.com/homelab-storage/homelab-storage/driver","Test":"TestA/b","Output":"    a_test.go:12: measured: 3 points, \u003c 5 \u0026 \"more\" \n"}
{"Action":"output","Package":"github.com/homelab-storage/homelab-storage/driver","Test":"TestA/b","Output":"    a_test.go:13: not measured: 4\n"}
{"Action":"output","Package":"github.com/homelab-storage/homelab-storage/driver","Test":"TestA","Output":"measured: printed, not logged\n"}
{"Action":"output","Package":"example.org/other","Test":"TestC","Output":"    cluster_test.go:1: measured: 5.0 s\n"}
{"Action":"pass","Package":"github.com/homelab-storage/homelab-storage/driver","Test":"TestA/b"}
{"Action":"outp`
	var text strings.Builder
	assert.NilError(t, show(strings.NewReader(said), &text))
	assert.Equal(t, text.String(), "driver TestA/b: measured: 3 points, < 5 & \"more\"\nexample.org/other TestC: measured: 5.0 s\n")
}

// What testing itself writes for a test that passes is understood.
func TestShowWhatTestingWrites(t *testing.T) {
	t.Logf("measured: %d line", 1)
	if os.Getenv("MEASURED_INNER") != "" {
		return
	}
	program, err := os.Executable()
	assert.NilError(t, err)
	command := exec.CommandContext(t.Context(), "go", "tool", "test2json", "-p", "measured", program, "-test.v=test2json", "-test.run", "^"+t.Name()+"$")
	command.Env = append(os.Environ(), "MEASURED_INNER=1")
	output, err := command.Output()
	assert.NilError(t, err)
	file := filepath.Join(t.TempDir(), "log.json")
	assert.NilError(t, os.WriteFile(file, output, 0o600))
	var text strings.Builder
	assert.NilError(t, run([]string{file}, &text))
	assert.Equal(t, text.String(), "measured TestShowWhatTestingWrites: measured: 1 line\n")
}

func TestArguments(t *testing.T) {
	assert.ErrorContains(t, run(nil, nil), "0 arguments were given")
	assert.ErrorIs(t, run([]string{filepath.Join(t.TempDir(), "none")}, nil), os.ErrNotExist)
}
