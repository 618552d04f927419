package cli

import (
	"os"
	"testing"

	"gotest.tools/v3/assert"
)

// A command leaves its cgroup for nothing that it runs: that needs root, and on some nested hosts nobody may.
func TestRunHere(t *testing.T) {
	own, err := os.ReadFile("/proc/self/cgroup")
	assert.NilError(t, err)
	output, code, err := runHere(t.Context(), "sh", "-c", "cat /proc/self/cgroup; echo oops >&2; exit 4")
	assert.NilError(t, err)
	assert.Equal(t, output, string(own)+"oops\n")
	assert.Equal(t, code, 4)
	_, _, err = runHere(t.Context(), "no-such-program")
	assert.ErrorContains(t, err, "the host has no program no-such-program")
}
