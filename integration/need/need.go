// Package need says what a test needs of the machine. Without it the test is skipped with the reason; with CI=true it fails,
// because a test that CI may skip is not a test.
package need

import (
	"os"
	"os/exec"
	"testing"
)

// Programs fails or skips a test that needs programs in PATH; packages says where they come from.
func Programs(tb testing.TB, packages string, programs ...string) {
	tb.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			missing(tb, program+" is not installed; install with: "+packages)
		}
	}
}

// Root fails or skips a test that has to be root.
func Root(tb testing.TB) {
	tb.Helper()
	if os.Getuid() != 0 {
		missing(tb, "this test makes namespaces and mounts: run it as root")
	}
}

// Engine fails or skips a test that starts an engine of its own.
func Engine(tb testing.TB) {
	tb.Helper()
	Root(tb)
	Programs(tb, "scripts/deps engine", "dockerd", "docker", "nsenter", "ip", "busybox", "sqlite3", "docker-registry")
}

// NoError fails or skips a test whose own check of the machine found something missing.
func NoError(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		missing(tb, err.Error())
	}
}

func missing(tb testing.TB, reason string) {
	tb.Helper()
	if os.Getenv("CI") == "true" {
		tb.Fatal("no test may be skipped in CI: " + reason)
	}
	tb.Skip(reason)
}
