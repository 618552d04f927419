package driver_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

// A NAS that starts has its SMB service up before its shares are there, and a password is put right: a storage that refuses a volume
// is tried again too, after a minute, two, four ... fifteen.
func TestLateStarterAfterARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.create(t, "torrents", map[string]string{"device": "//nas/torrents"})
		b.share.refuses.Store(true)
		_, err := b.driver.Mount(t.Context(), "torrents", "a", engine())
		assert.ErrorContains(t, err, "wrong password")
		b.engines.failed = []string{err.Error()}
		stop := b.run(t)
		defer stop()
		asked := b.share.stages.Load()
		time.Sleep(31 * time.Minute)
		assert.Equal(t, b.share.stages.Load()-asked, int32(5), "after 1, 3, 7, 15 and 30 minutes")
		b.share.refuses.Store(false)
		b.share.answers.Store(true)
		time.Sleep(15 * time.Minute)
		b.engines.mu.Lock()
		defer b.engines.mu.Unlock()
		assert.Equal(t, len(b.engines.started), 1)
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
