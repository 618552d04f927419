package drivertest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

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

// scenario is what the engine, or an operator, does with volumes.
type scenario struct {
	run func(w *world)
	// before, when set, is what went before, whose points are not counted.
	before func(w *world)
	// floor is how many points it has at least: fewer mean that some are not seen any more. How many the background adds is not the
	// same in every run.
	floor int
	// fresh has it begin with the plugin's first start on a new pool. Others have the same points there, which are not counted again.
	fresh bool
	// host has the plugin bring the pool up and take it down; in others it is mounted all the time.
	host bool
}

// scenarios are all of them. Several short ones have the same points as a long one and take far less time.
func scenarios() map[string]scenario {
	return map[string]scenario{
		"db":        {run: database, floor: 320, fresh: true},
		"config":    {run: configuration, floor: 150},
		"restore":   {run: outOfTheTrash, floor: 300},
		"share":     {run: share, floor: 105},
		"temp":      {run: temp, floor: 62},
		"cache":     {run: cache, floor: 95},
		"take-over": {run: takeOver, floor: 110},

		"credentials":      {run: ofAllNodes, floor: 40},
		"break":            {before: died, run: brokenOfDead, floor: 30},
		"break, asking":    {before: usedElsewhere, run: brokenByAsking, floor: 90},
		"break, answering": {before: leftHere, run: brokenFromElsewhere, floor: 50},
		"adopt":            {before: formatted, run: adopted, floor: 80},
		"restore records":  {before: formatted, run: recordsRestored, floor: 140},
		"drain":            {before: oneContainer, run: drained, floor: 85, host: true},
		"drain, held":      {before: oneContainer, run: held, floor: 80, host: true},
		"bring up":         {run: broughtUp, floor: 130, host: true, fresh: true},
		"leave":            {before: toLeave, run: left, floor: 40, host: true},
	}
}

func database(w *world) {
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
	w.restart()
	w.unmount("vol", second)
	w.pass(released)
	w.restart()
	w.remove("vol")
	w.inTrash("vol", "one")
}

func configuration(w *world) {
	w.create("vol", own("config", "subdir", "apps/radarr"))
	id := w.mount("vol")
	w.write("vol", "one")
	w.restart()
	w.unmount("vol", id)
	w.remove("vol") // at once, while its hold lingers
	w.inTrash("vol", "one")
}

func outOfTheTrash(w *world) {
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
	w.restart()
	w.unmount("back", id)
	w.restart()
	w.remove("back")
	w.inTrash("back", "two")
}

func share(w *world) {
	w.create("vol", own("", "type", "cifs", "device", nas+"/films", "o", "username=bob,password=canary"))
	id := w.mount("vol")
	w.write("vol", "one")
	w.restart()
	w.unmount("vol", id)
	w.restart()
	w.remove("vol")
	text, err := os.ReadFile(filepath.Join(w.kernel.ShareFiles(nas), "films", "rows"))
	assert.NilError(w.t, err, "what is on a share is never deleted")
	assert.Equal(w.t, string(text), "one")
}

func temp(w *world) {
	w.create("vol", own("temp", "size", "1m"))
	id := w.mount("vol")
	w.write("vol", "one")
	w.restart()
	w.unmount("vol", id)
	w.restart()
	w.remove("vol")
}

func cache(w *world) {
	w.create("vol", own("cache"))
	id := w.mount("vol")
	w.write("vol", "one")
	w.unmount("vol", id)
	id = w.mount("vol")
	w.read("vol")
	w.restart()
	w.unmount("vol", id)
	w.restart()
	w.remove("vol")
	left, err := filepath.Glob(w.kernel.HostPath("/var/lib/node1/local/volumes") + "/*")
	assert.NilError(w.t, err)
	assert.Equal(w.t, len(left), 0, "%v", left)
}

func takeOver(w *world) {
	w.volumes["vol"] = &volume{listed: true, row: "of node2"}
	w.deadNode("vol", "of node2")
	id := w.mount("vol")
	w.read("vol")
	w.restart()
	w.unmount("vol", id)
	w.restart()
	w.remove("vol")
	w.inTrash("vol", "of node2")
}

// restore brings a removed volume's data back under another name.
func (w *world) restore(from, to string) {
	w.t.Helper()
	entry := w.inTrash(from, w.volumes[from].row)
	w.begin(to)
	w.volumes[to].row = w.volumes[from].row
	if w.patient {
		w.meanwhile = func() { w.asBefore(to) }
	}
	w.call("restore "+to, func(d *driver.Driver) error {
		if _, err := d.Get(w.t.Context(), to); err == nil {
			return nil // completed by itself
		}
		return d.TrashRestore(w.t.Context(), entry, to)
	})
	w.meanwhile = nil
	w.acknowledge(to, true)
}

// another is a second node, whose plugin runs.
func (w *world) another() *node {
	w.t.Helper()
	w.second = w.more(2)
	return w.second
}

// more is one more node, whose plugin runs.
func (w *world) more(number int) *node {
	w.t.Helper()
	n := &node{kernel: w.kernel, region: w.node.region, number: number, log: w.log, wait: w.node.wait}
	n.ahead.Store(w.node.ahead.Load())
	n.power()
	assert.NilError(w.t, n.start(w.t, &points{}))
	return n
}

// use has a node make a volume, and a container there use it.
func (n *node) use(t *testing.T, name, row string, by driver.Engine) {
	t.Helper()
	assert.NilError(t, n.driver.Create(t.Context(), name, own("db")))
	target, err := n.driver.Mount(t.Context(), name, "there", by)
	assert.NilError(t, err)
	assert.NilError(t, os.WriteFile(filepath.Join(target, "rows"), []byte(row), 0o600))
}

// deadNode has another node make and use a volume, and die.
func (w *world) deadNode(name, row string) {
	w.t.Helper()
	second := w.another()
	second.use(w.t, name, row, running)
	w.pass(brief) // seen here
	second.end(w.t)
	w.second = nil
	w.region(2, false)
	if w.node.points.died() {
		w.revive()
	}
}

func (w *world) region(number int, live bool) { w.node.region.set(number, live) }
