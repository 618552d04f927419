package drivertest

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

const (
	// brief is as long as the engine takes between the copy-up's Unmount and the container's Mount.
	brief = 1500 * time.Millisecond
	// released is when a hold that lingered is given back.
	released = 6 * time.Second
	// settled is when uses that nobody takes back may be dropped after a start, by the node's clock.
	settled = 3 * time.Minute
	// sweeps is when the first sweep after that, half a minute later, is done.
	sweeps = 31 * time.Second
)

// volume is what the engine and its containers know of one volume.
type volume struct {
	listed bool
	uses   []string
	row    string // what a container wrote last
	maybe  bool   // a call about its existence had no answer
}

// world is the node under test, with what it has acknowledged.
type world struct {
	t       *testing.T
	kernel  *mountertest.Kernel
	node    *node
	second  *node // another one, when there is one
	log     *record
	volumes map[string]*volume
	mu      sync.Mutex // guards ids and the volumes' uses: the plugin's background may have a container started
	ids     int
	// patient has a call that was refused made again only after the background had its time, with the invariants checked before.
	patient bool
	refused bool // a call was refused by the point that failed
	hit     bool // a point has failed, and what must hold then was checked, or has killed
	// meanwhile, when set, is done before a call is made again, unless that is at once.
	meanwhile func()
	secrets   map[string]*secret
	damaged   bool // a record of holders cannot be read
}

// record keeps the driver's log, for the text of a failure.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(text []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(text)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func newWorld(t *testing.T, hit *points) *world {
	t.Helper()
	return newWorldOn(t, newKernel(t), nil, hit)
}

// newWorldOn is one on a host whose pool the plugin brings up, when that is given.
func newWorldOn(t *testing.T, kernel *mountertest.Kernel, on *host, hit *points) *world {
	t.Helper()
	log := &record{}
	w := &world{t: t, kernel: kernel, log: log, volumes: map[string]*volume{}, secrets: map[string]*secret{}}
	w.node = &node{kernel: kernel, region: &region{}, number: 1, log: log, wait: 20 * time.Second, host: on}
	if on != nil {
		w.node.containers = &containers{world: w}
	}
	w.node.advance(time.Until(realTime()))
	w.node.power()
	if err := w.node.start(t, hit); err != nil { // the engine starts it again
		assert.Assert(t, hit.was() != "", "it does not start: %v", err)
		assert.NilError(t, w.node.start(t, &points{}))
	}
	return w
}

// realTime is the time of the files, outside of the bubble whose clock begins in the year 2000.
func realTime() time.Time {
	file, err := os.CreateTemp("", "clock")
	if err != nil {
		return time.Now()
	}
	defer func() { _ = errors.Join(file.Close(), os.Remove(file.Name())) }()
	info, err := file.Stat()
	if err != nil {
		return time.Now()
	}
	return info.ModTime()
}

// pass lets time go by.
func (w *world) pass(while time.Duration) {
	timer := time.NewTimer(while)
	defer timer.Stop()
	<-timer.C
}

// revive starts the plugin again, after its death or instead of it, and gives its background time.
func (w *world) revive() {
	w.t.Helper()
	w.hit = w.hit || w.node.points.was() != ""
	w.node.end(w.t)
	w.rise()
}

// rise starts the plugin after its end.
func (w *world) rise() {
	w.t.Helper()
	w.pass(time.Millisecond) // else the old uses are as young as the new process
	assert.NilError(w.t, w.node.start(w.t, &points{}))
	w.pass(time.Second)
	w.node.advance(settled)
	w.pass(sweeps)
}

// counts has the points of what follows counted, or not: others have the same ones.
func (w *world) counts(on bool) { w.node.points.counts(on) }

// call makes one call, and makes it again when it fails or the process dies in it.
func (w *world) call(what string, do func(d *driver.Driver) error) {
	w.t.Helper()
	before := w.node.points.was()
	err := do(w.node.driver)
	switch {
	case w.node.points.died():
		w.revive()
		w.check()
		w.between()
	case err == nil:
		w.notice()
		return
	default:
		assert.Check(w.t, before == "" && w.node.points.was() != "", "%s failed by itself: %v", what, err)
		w.refused = true
		w.notice()
		if w.patient {
			w.pass(sweeps)
			w.check()
			w.between()
		}
	}
	assert.NilError(w.t, do(w.node.driver), "%s, again (the first time: %v)", what, err)
}

// between does what must be possible between a call that was not done and the next try.
func (w *world) between() {
	if work := w.meanwhile; work != nil {
		w.meanwhile = nil
		work()
	}
}

// notice checks what must hold right after a point has failed, once.
func (w *world) notice() {
	w.t.Helper()
	if w.node.points.was() != "" && !w.hit {
		w.hit = true
		w.checkAtOnce()
	}
}

// end is the end of the plugins.
func (w *world) end() {
	w.t.Helper()
	w.node.end(w.t)
	if w.second != nil {
		w.second.end(w.t)
	}
}

// restart starts the plugin again when a point of it has failed: what the process still had in memory was not all that there is. A
// scenario does this near its end, while its volume is still there. A patient one goes through with the same process.
func (w *world) restart() {
	w.t.Helper()
	if w.node.points.was() == "" || w.node.points.died() || w.patient {
		return
	}
	w.pass(sweeps)
	w.check()
	w.revive()
	w.check()
}

func (w *world) create(name string, options map[string]string) {
	w.t.Helper()
	w.begin(name)
	if w.patient {
		w.meanwhile = func() { w.asBefore(name) }
	}
	w.call("create "+name, func(d *driver.Driver) error { return d.Create(w.t.Context(), name, options) })
	w.meanwhile = nil
	w.acknowledge(name, true)
}

// asBefore: a volume that could not be made is not made by the next start, unless it was made by then.
func (w *world) asBefore(name string) {
	w.t.Helper()
	there := w.node.listed(w.t, name)
	w.revive()
	w.check()
	assert.Check(w.t, w.node.listed(w.t, name) == there, "volume %s was listed: %v, and is not as before after a restart", name, there)
}

// begin says that a call about a volume's existence is made.
func (w *world) begin(name string) {
	if w.volumes[name] == nil {
		w.volumes[name] = &volume{}
	}
	w.volumes[name].maybe = true
}

func (w *world) acknowledge(name string, listed bool) {
	w.volumes[name].maybe, w.volumes[name].listed = false, listed
}

func (w *world) remove(name string) {
	w.t.Helper()
	w.begin(name)
	tries := 0
	w.call("remove "+name, func(d *driver.Driver) error {
		tries++
		err := d.Remove(w.t.Context(), name)
		if tries > 1 && errors.Is(err, driver.ErrNotFound) {
			return nil
		}
		return err
	})
	w.acknowledge(name, false)
}
