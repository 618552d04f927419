//go:build lab && long

package cluster

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/lab"
)

// TestRestarts is TestNode's stack with everything that can be restarted under it; then containers try to get out
// of their volume's directory.
func TestRestarts(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.radarr(t, append(restarts(), restart{"engine killed", (*site).killEngine, false}, restart{"power lost", (*site).losePower, false}))
	t.Run("hostile", s.testHostileContainers)
	s.uninstall(t)
}

func (s *site) killEngine(t *testing.T) {
	t.Helper()
	assert.NilError(t, s.node.KillEngine(t.Context()))
	assert.NilError(t, s.node.StartDocker(t.Context()))
}

// losePower pulls the plug of the node alone.
func (s *site) losePower(t *testing.T) {
	t.Helper()
	assert.NilError(t, s.node.Kill(t.Context()))
	s.healed(t)
}
