package cli

import (
	"testing"

	"gotest.tools/v3/assert"
)

// A script gives every command the same flags, also those that ask nobody.
func TestEveryCommandTakesASocket(t *testing.T) {
	for _, command := range []string{"version", "options"} {
		for _, line := range [][]string{{command, "--socket", "/nowhere/p.sock"}, {"--socket", "/nowhere/p.sock", command}} {
			code, out, problem := run(t, "", append([]string{"docker-homelab", "homelab"}, line...)...)
			assert.Equal(t, code, 0, problem)
			assert.Assert(t, out != "")
		}
	}
}
