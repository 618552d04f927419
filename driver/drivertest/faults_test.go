package drivertest

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
)

// own are the options of a volume whose directory this process may make without being root.
func own(class string, more ...string) map[string]string {
	options := map[string]string{"uid": fmt.Sprint(os.Getuid()), "gid": fmt.Sprint(os.Getgid())}
	if class != "" {
		options["class"] = class
	}
	for i := 0; i < len(more); i += 2 {
		options[more[i]] = more[i+1]
	}
	return options
}

// scenarios are what the engine does. Several short ones have the same points as a long one and take far less time.
func scenarios() map[string]func(*world) {
	return map[string]func(*world){
		"db": func(w *world) {
			w.create("vol", own("db"))
			copyUp := w.mount("vol")
			w.pass(brief)
			w.unmount("vol", copyUp)
			w.pass(brief)
			first := w.mount("vol")
			w.write("vol", "one")
			second := w.mount("vol")
			w.unmount("vol", first)
			w.read("vol")
			w.unmount("vol", second)
			w.pass(released)
			w.remove("vol")
			w.inTrash("vol", "one")
		},
		"config": func(w *world) {
			w.create("vol", own("config", "subdir", "apps/radarr"))
			id := w.mount("vol")
			w.write("vol", "one")
			w.unmount("vol", id)
			w.remove("vol") // at once, while its hold lingers
			w.inTrash("vol", "one")
		},
		"restore": func(w *world) {
			w.create("vol", own("db"))
			id := w.mount("vol")
			w.write("vol", "one")
			w.unmount("vol", id)
			w.pass(released)
			w.remove("vol")
			w.restore("vol", "back")
			id = w.mount("back")
			w.read("back")
			w.write("back", "two")
			w.unmount("back", id)
			w.remove("back")
			w.inTrash("back", "two")
		},
		"share": func(w *world) {
			options := own("", "type", "cifs", "device", "//192.168.1.100/media/films", "o", "username=bob,password=canary")
			w.create("vol", options)
			id := w.mount("vol")
			w.write("vol", "one")
			w.unmount("vol", id)
			w.remove("vol")
			text, err := os.ReadFile(filepath.Join(w.kernel.ShareFiles("//192.168.1.100/media"), "films", "rows"))
			assert.NilError(w.t, err, "what is on a share is never deleted")
			assert.Equal(w.t, string(text), "one")
		},
		"temp": func(w *world) {
			w.create("vol", own("temp", "size", "1m"))
			id := w.mount("vol")
			w.write("vol", "one")
			w.unmount("vol", id)
			w.remove("vol")
		},
		"cache": func(w *world) {
			w.create("vol", own("cache"))
			id := w.mount("vol")
			w.write("vol", "one")
			w.unmount("vol", id)
			id = w.mount("vol")
			w.read("vol")
			w.unmount("vol", id)
			w.remove("vol")
			left, err := filepath.Glob(w.kernel.HostPath("/var/lib/node1/local/volumes") + "/*")
			assert.NilError(w.t, err)
			assert.Equal(w.t, len(left), 0, "%v", left)
		},
		"take-over": func(w *world) {
			w.volumes["vol"] = &volume{listed: true, row: "of node2"}
			w.deadNode("vol", "of node2")
			id := w.mount("vol")
			w.read("vol")
			w.unmount("vol", id)
			w.remove("vol")
			w.inTrash("vol", "of node2")
		},
	}
}

// restore brings a removed volume's data back under another name.
func (w *world) restore(from, to string) {
	w.t.Helper()
	entry := w.inTrash(from, w.volumes[from].row)
	w.begin(to)
	w.volumes[to].row = w.volumes[from].row
	w.call("restore "+to, func(d *driver.Driver) error {
		if _, err := d.Get(w.t.Context(), to); err == nil {
			return nil // completed by itself
		}
		return d.TrashRestore(w.t.Context(), entry, to)
	})
	w.acknowledge(to, true)
}

// deadNode has another node make and use a volume, and die.
func (w *world) deadNode(name, row string) {
	w.t.Helper()
	second := &node{kernel: w.kernel, region: w.node.region, number: 2, log: w.log, wait: w.node.wait}
	second.ahead.Store(w.node.ahead.Load())
	second.power()
	assert.NilError(w.t, second.start(w.t, &points{}))
	assert.NilError(w.t, second.driver.Create(w.t.Context(), name, own("db")))
	target, err := second.driver.Mount(w.t.Context(), name, "there", driver.Engine{PID: 1, Started: 1})
	assert.NilError(w.t, err)
	assert.NilError(w.t, os.WriteFile(filepath.Join(target, "rows"), []byte(row), 0o600))
	w.pass(brief) // seen here
	second.end(w.t)
	w.region(2, false)
	if w.node.points.died() {
		w.revive()
	}
}

func (w *world) region(number int, live bool) { w.node.region.set(number, live) }

// play runs a scenario in a bubble, and the checks at its end. A fresh one begins with the plugin's first start on a new pool; others
// have the same points there, which are not counted again.
func play(t *testing.T, scenario func(*world), fresh bool, points *points) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		points.counts(fresh)
		w := newWorld(t, points)
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("%d was %q\n%s", points.at, points.was(), w.log)
			}
		})
		defer func() { w.node.end(t) }()
		if !fresh {
			w.create("other", own("db"))
			points.counts(true)
		}
		scenario(w)
		w.checkLeavings()
	})
}

// floors are how many points the scenarios have at least: fewer mean that some are not seen any more. How many the background
// adds is not the same in every run.
var floors = map[string]int{"db": 320, "config": 150, "restore": 300, "share": 105, "temp": 62, "cache": 100, "take-over": 110}

func TestEveryPoint(t *testing.T) {
	var all, injected atomic.Int64
	t.Run("scenarios", func(t *testing.T) {
		for _, name := range slices.Sorted(maps.Keys(scenarios())) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				scenario := scenarios()[name]
				count := &points{}
				play(t, scenario, name == "db", count)
				total := count.total()
				t.Logf("measured: %d points: %v", total, count.kinds)
				all.Add(int64(total))
				assert.Assert(t, total >= floors[name], "%d points", total)
				for n := 1; n <= total; n += stride {
					for _, kill := range []bool{false, true} {
						everyPoint(t, scenario, name == "db", n, kill, &injected)
					}
				}
			})
		}
	})
	t.Logf("measured: %d points; %d faults were injected, one that fails and one that kills at one in %d points", all.Load(), injected.Load(), stride)
	least := 0
	for _, floor := range floors {
		least += 2 * floor / stride
	}
	assert.Assert(t, int(injected.Load()) > least*9/10, "at least %d were expected", least)
}

func everyPoint(t *testing.T, scenario func(*world), fresh bool, n int, kill bool, injected *atomic.Int64) {
	t.Helper()
	title := fmt.Sprintf("point %d fails", n)
	if kill {
		title = fmt.Sprintf("point %d kills", n)
	}
	t.Run(title, func(t *testing.T) {
		hit := &points{at: n, kill: kill}
		play(t, scenario, fresh, hit)
		if hit.was() != "" {
			injected.Add(1)
		}
	})
}
