package driver_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

func TestLateStarter(t *testing.T) {
	b := newBench(t)
	b.create(t, "vol", map[string]string{"class": "db"})
	b.pool.away.Store(true)
	_, err := b.driver.Mount(t.Context(), "vol", "a", engine())
	assert.ErrorIs(t, err, backend.ErrUnavailable)
	b.engines.failed = []string{"error while mounting volume '': VolumeDriver.Mount: " + err.Error(), "out of memory"}
	b.pool.away.Store(false)
	stop := b.run(t)
	defer stop()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		b.engines.mu.Lock()
		defer b.engines.mu.Unlock()
		if len(b.engines.started) == 1 && strings.Contains(b.engines.started[0], `volume "vol"`) {
			return poll.Success()
		}
		return poll.Continue("started: %q", b.engines.started)
	})
}

// A pool that hangs costs its own volumes their time, and not those on other storage.
func TestHungPoolDelaysNoOtherHealing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.create(t, "on_pool", map[string]string{"class": "db"})
		b.create(t, "torrents", map[string]string{"device": "//nas/torrents"})
		b.pool.away.Store(true)
		for _, name := range []string{"on_pool", "torrents"} {
			_, err := b.driver.Mount(t.Context(), name, "a", engine())
			assert.ErrorIs(t, err, backend.ErrUnavailable)
			b.engines.failed = append(b.engines.failed, err.Error())
		}
		b.pool.hang.Store(true)
		b.share.answers.Store(true)
		stop := b.run(t)
		defer stop()
		poll.WaitOn(t, func(poll.LogT) poll.Result {
			b.engines.mu.Lock()
			defer b.engines.mu.Unlock()
			if len(b.engines.started) == 1 && strings.Contains(b.engines.started[0], `volume "torrents"`) {
				return poll.Success()
			}
			return poll.Continue("started: %q", b.engines.started)
		})
	})
}

// What an earlier process could not mount is learned from the engine's texts.
func TestLateStarterAfterARestart(t *testing.T) {
	b := newBench(t)
	b.create(t, "vol", map[string]string{"class": "db"})
	b.pool.away.Store(true)
	_, err := b.driver.Mount(t.Context(), "vol", "a", engine())
	assert.ErrorIs(t, err, backend.ErrUnavailable)
	b.engines.failed = []string{"error while mounting volume '': VolumeDriver.Mount: " + err.Error(), `volume "gone": it was removed`, "out of memory"}
	b.start(t)
	b.pool.away.Store(false)
	stop := b.run(t)
	defer stop()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		b.engines.mu.Lock()
		defer b.engines.mu.Unlock()
		if slices.ContainsFunc(b.engines.started, func(text string) bool { return strings.Contains(text, `volume "vol"`) }) {
			return poll.Success()
		}
		return poll.Continue("started: %q", b.engines.started)
	})
}
