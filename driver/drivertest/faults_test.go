package drivertest

import (
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// play runs a scenario in a bubble, and the checks at its end. It says whether a point that failed had a call refused.
func play(t *testing.T, it scenario, points *points, patient bool) (refused bool) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		points.counts(it.fresh)
		var w *world
		if it.host {
			kernel := mountertest.New(t)
			w = newWorldOn(t, kernel, newHost(t, kernel), points)
		} else {
			w = newWorld(t, points)
		}
		w.patient = patient
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("%d was %q\n%s", points.at, points.was(), w.log)
			}
		})
		defer w.end()
		if !it.fresh {
			w.create("other", own("db"))
			w.pass(brief) // what the background does at the start is over
			if it.before != nil {
				it.before(w)
			}
			points.counts(true)
		}
		it.run(w)
		w.checkLeavings()
		refused = w.refused
	})
	return refused
}

func TestEveryPoint(t *testing.T) {
	var all, injected atomic.Int64
	t.Run("scenarios", func(t *testing.T) {
		for _, name := range slices.Sorted(maps.Keys(scenarios())) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				it := scenarios()[name]
				count := &points{}
				play(t, it, count, false)
				total := count.total()
				all.Add(int64(total))
				assert.Assert(t, total >= it.floor, "%d points: %v", total, count.kinds)
				var hits faults
				for n := 1; n <= total; n += stride {
					hits.at(t, it, n)
				}
				t.Logf("measured: %d points: %v; %d failed, %d of them with a call refused, and %d killed", total, count.kinds, hits.failed, hits.refused, hits.killed)
				injected.Add(int64(hits.failed + hits.refused + hits.killed))
			})
		}
	})
	t.Logf("measured: %d points; %d faults were injected at one in %d points", all.Load(), injected.Load(), stride)
	least := 0
	for _, it := range scenarios() {
		least += 2 * it.floor / stride
	}
	assert.Assert(t, int(injected.Load()) > least*9/10, "at least %d were expected", least)
}

// faults are how many were injected into a scenario.
type faults struct{ failed, refused, killed int }

// at has one point fail, and kill. One that has a call refused fails twice: the call is made again at once, and after a while.
func (f *faults) at(t *testing.T, it scenario, n int) {
	t.Helper()
	one := func(title string, hit *points, patient bool) (counted int, refused bool) {
		t.Run(fmt.Sprintf("point %d %s", n, title), func(t *testing.T) { refused = play(t, it, hit, patient) })
		if hit.was() != "" {
			counted = 1
		}
		return counted, refused
	}
	killed, _ := one("kills", &points{at: n, kill: true}, false)
	failed, refused := one("fails", &points{at: n}, false)
	f.killed, f.failed = f.killed+killed, f.failed+failed
	if refused {
		again, _ := one("fails, and the call waits", &points{at: n}, true)
		f.refused += again
	}
}
