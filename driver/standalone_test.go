package driver_test

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

func TestStandaloneIsRefusedInASwarm(t *testing.T) {
	b := newBench(t)
	b.engines.swarm = true
	b.pool.standalone.Store(true)
	assert.ErrorContains(t, b.driver.Create(t.Context(), "vol", nil), "active member of a Swarm")
	b.engines.swarm = false
	_, err := b.pool.Prepare(t.Context(), "media-apps")
	assert.NilError(t, err)
	b.create(t, "vol", nil)
}

// The disk with the standalone pool is not mounted: no second pool begins in the folder below it.
func TestStandalonePoolIsNotBegunAnew(t *testing.T) {
	b := newBench(t)
	_, err := b.pool.Prepare(t.Context(), "media-apps")
	assert.NilError(t, err)
	b.pool.standalone.Store(true)
	b.create(t, "vol", nil)
	b.pool.away.Store(true)
	assert.ErrorIs(t, b.driver.Create(t.Context(), "new", nil), backend.ErrUnavailable)
}

// The status says it before a Create does.
func TestStatusWarnsOfStandaloneInASwarm(t *testing.T) {
	b := newBench(t)
	alone := configured()
	alone.Pools, alone.Standalone = nil, true
	b.source.now.Store(alone)
	b.engines.swarm = true
	defer b.run(t)()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		if problems := strings.Join(b.driver.Health(t.Context()).Problems, " "); !strings.Contains(problems, "this node is an active member of a Swarm, and a STANDALONE volume") {
			return poll.Continue("problems: %s", problems)
		}
		return poll.Success()
	})
}
