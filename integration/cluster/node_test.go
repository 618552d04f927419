//go:build lab

package cluster

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/lab"
)

// TestNode is a machine without systemd: it boots quickly, and nothing but the plugin and the engine brings anything up.
func TestNode(t *testing.T) { //nolint:tparallel // its subtests take turns at one machine
	t.Parallel()
	s := newSite(t, lab.Options{})
	assert.Assert(t, len(processes(t, s.folder())) >= 2, "the search for processes finds qemu and smbd while they run")
	t.Run("second start", s.testSecondStart) // first: it counts the kernel's sessions
	t.Run("radarr", s.testRadarr)
	t.Run("pool", s.testPoolRefusals)
	t.Run("share", s.testShareRefusals)
	t.Run("share names", s.testShareNames)
	t.Run("old server", s.testOldServer)
	t.Run("share states", s.testNASStates)
	t.Run("secrets", s.testSecrets)
	t.Run("uninstall", s.uninstall)
}

// TestSystemdNode is a machine with systemd, Docker and open-iscsi as units of Debian.
func TestSystemdNode(t *testing.T) { //nolint:tparallel // likewise
	t.Parallel()
	s := newSite(t, lab.Options{Systemd: true})
	t.Run("copies", s.testCopies)
	t.Run("in flight", s.testInFlight)
	t.Run("hostile", s.testHostileOptions)
	t.Run("switching", s.testSwitching)
	t.Run("operations", s.testOperations)
}
