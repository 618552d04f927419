package drivertest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
	"gotest.tools/v3/assert"
)

// historyTime is how long histories are made; the environment variable HISTORY_TIME has another, as 10m.
const historyTime = 12 * time.Second

// fewest is how many histories show every kind of call, also on a machine that takes long for one: all but one in 8^6 have a power cut.
const fewest = 6

// checkLimit bounds the search for an order of one history.
const checkLimit = 20 * time.Second

// TestHistories has three nodes create, mount, unmount and remove the same volumes at once, while calls fail, plugins are killed and
// machines lose their power, and looks for one order of the calls that explains every answer.
func TestHistories(t *testing.T) {
	limit := historyTime
	if text := os.Getenv("HISTORY_TIME"); text != "" {
		given, err := time.ParseDuration(text)
		assert.NilError(t, err, "HISTORY_TIME")
		limit = given
	}
	done := map[string]int{}
	first := uint64(time.Now().UnixNano())
	began, seed := time.Now(), first
	for ; (seed-first < fewest || time.Since(began) < limit) && !t.Failed(); seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			result, made := play3(t, seed, false)
			assert.Equal(t, result, porcupine.Ok, "seed %d", seed)
			for kind, count := range made.done {
				done[kind] += count
			}
		})
	}
	t.Logf("measured: %d histories, seeds from %d; calls that succeeded: %v", seed-first, first, done)
	for _, kind := range []string{"create", "mount", "unmount", "remove", "die", "look"} {
		assert.Check(t, done[kind] > 0, "nothing was shown of %s", kind)
	}
}

// TestBrokenHolderIsFound shows that the check can fail: nodes that take every other one for dead are found out.
func TestBrokenHolderIsFound(t *testing.T) {
	for seed := range uint64(50) {
		if result, _ := play3(t, seed, true); result == porcupine.Illegal {
			t.Logf("found with seed %d", seed)
			return
		}
	}
	t.Fatal("two nodes had an exclusive volume, and nobody noticed")
}

// play3 makes one history and looks for its order.
func play3(t *testing.T, seed uint64, broken bool) (result porcupine.CheckResult, made *history) {
	t.Helper()
	log := &record{}
	defer func() {
		if !broken && (t.Failed() || result != porcupine.Ok) {
			t.Logf("seed %d is %s:\n%s\n%s", seed, result, made, log)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, seed, broken, log)
		made = c.history
		c.disturb(seed)
		c.settle(!broken)
	})
	result = porcupine.CheckEventsTimeout(model(), made.whole(), checkLimit)
	return result, made
}

// disturb runs the clients, and meanwhile kills plugins and cuts power.
func (c *cluster) disturb(seed uint64) {
	var group sync.WaitGroup
	for _, m := range c.machines {
		for range clients {
			group.Go(func() { c.client(m) })
		}
	}
	random := rand.New(rand.NewPCG(seed, nodes))
	for range 3 {
		pause(time.Duration(random.IntN(8000)) * time.Millisecond)
		m := c.machines[random.IntN(nodes)]
		if random.IntN(2) == 0 {
			c.kill(m)
		} else {
			c.cut(m, time.Duration(random.IntN(6000))*time.Millisecond)
		}
	}
	group.Wait()
}

// settle lets everything end that ends by itself, and looks at what is left.
func (c *cluster) settle(sound bool) {
	c.t.Helper()
	close(c.quiet)
	for _, m := range c.machines { // what was interrupted at the very end is completed
		c.kill(m)
	}
	pause(time.Second)
	for _, m := range c.machines {
		m.advance(settled)
	}
	pause(2 * sweeps)
	for _, m := range c.machines {
		infos, err := m.driver.List(c.t.Context())
		assert.NilError(c.t, err)
		listed := map[string]bool{}
		for _, info := range infos {
			listed[info.Name] = true
		}
		for _, volume := range c.volumes {
			in := call{kind: "look", volume: volume, node: m.number - 1}
			c.history.end(in, c.history.begin(in), answer{done: true, there: listed[volume]})
		}
		if sound {
			c.checkMachine(m)
		}
	}
	for _, m := range c.machines {
		m.end(c.t)
	}
}

// checkMachine: what containers use is mounted and held, and nothing else is.
func (c *cluster) checkMachine(m *machine) {
	c.t.Helper()
	used, ids := map[string]bool{}, map[string]bool{}
	for _, it := range m.uses {
		used[it.volume] = true
		info, err := m.driver.Get(c.t.Context(), it.volume)
		assert.Check(c.t, err, "a volume in use on %s", m.name())
		ids[fmt.Sprint(info.Status["id"])] = true
	}
	var mounted []string
	for _, target := range m.mounted(c.t) {
		mounted = append(mounted, filepath.Base(target))
	}
	slices.Sort(mounted)
	assert.Check(c.t, slices.Equal(mounted, slices.Sorted(maps.Keys(used))), "%s has mounted %v and uses %v", m.name(), mounted, m.uses)
	records, err := m.driver.Holders(c.t.Context(), "")
	assert.Check(c.t, err)
	held := map[string]bool{}
	for _, record := range records {
		for _, holder := range record.Holders {
			for _, use := range holder.Uses {
				held[use.Volume] = held[use.Volume] || holder.Name == m.name()
			}
		}
	}
	maps.DeleteFunc(held, func(_ string, ours bool) bool { return !ours })
	assert.Check(c.t, maps.Equal(held, ids), "%s holds %v and uses %v", m.name(), held, ids)
}
