package driver_test

import (
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// The engine ends its containers and then the plugin, as in `systemctl stop docker`: what was unmounted a moment before is free for the other
// nodes when the process is gone, however long its disk takes within the engine's patience, and what is unmounted at the end as well.
func TestTheEndGivesHoldsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Linger = time.Minute
		b.start(t)
		b.create(t, "first", map[string]string{"class": "db"})
		b.create(t, "last", map[string]string{"class": "db"})
		b.mount(t, "first", "a")
		b.mount(t, "last", "b")
		assert.NilError(t, b.driver.Unmount(t.Context(), "first", "a"))
		b.holders(t, 2)
		hold := b.kernel.Hold(mountertest.OpSync, "")
		b.driver.End()
		assert.NilError(t, b.driver.Unmount(t.Context(), "last", "b"))
		time.AfterFunc(5*time.Second, func() { b.kernel.Release(hold) })
		began := time.Now()
		assert.NilError(t, b.driver.Close())
		assert.Assert(t, time.Since(began) < 6*time.Second, "it ended after %s", time.Since(began))
		b.holders(t, 0)
		b.start(t)
	})
}

// A disk that does not answer keeps the process no longer than the engine waits, and the hold stays: it is given back after the next start.
func TestTheEndHasAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.create(t, "vol", map[string]string{"class": "db"})
		b.mount(t, "vol", "a")
		hold := b.kernel.Hold(mountertest.OpSync, "")
		assert.NilError(t, b.driver.Unmount(t.Context(), "vol", "a"))
		began := time.Now()
		assert.NilError(t, b.driver.Close())
		assert.Equal(t, time.Since(began).Round(time.Second), 9*time.Second)
		b.kernel.Release(hold)
		b.start(t)
		b.holders(t, 1)
		b.driver.Sweep(t.Context())
		b.holders(t, 0)
	})
}
