package drivertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// clients is how many calls an engine makes at once.
const clients = 2

// use is one container's mount.
type use struct{ volume, id string }

// machine is a node with its engine's clients.
type machine struct {
	*node
	// up has a place for each client: one for every call, all of them for whoever ends and starts the plugin. A mutex would stop the
	// bubble's time.
	up chan struct{}

	mu   sync.Mutex // guards uses and random
	uses []use
	ids  int
	// random has a sequence of its own for each machine, so that a seed gives nearly the same history again.
	random *rand.Rand
}

// enter takes places, and gives out what gives them back.
func (m *machine) enter(places int) (leave func()) {
	for range places {
		m.up <- struct{}{}
	}
	return func() {
		for range places {
			<-m.up
		}
	}
}

func (m *machine) roll(n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.random.IntN(n)
}

// cluster is three machines on one pool.
type cluster struct {
	t        *testing.T
	machines []*machine
	volumes  []string
	history  *history
	quiet    chan struct{} // closed: nothing fails any more
}

func newCluster(t *testing.T, seed uint64, alone bool, log *record) *cluster {
	t.Helper()
	kernel, region := newKernel(t), &region{}
	c := &cluster{t: t, history: &history{}, volumes: []string{"db1", "db2", "shared"}, quiet: make(chan struct{})}
	ahead := time.Until(realTime())
	for number := range nodes {
		m := &machine{
			node: &node{kernel: kernel, region: region, number: number + 1, log: log, wait: 3 * time.Second, alone: alone},
			up:   make(chan struct{}, clients), random: rand.New(rand.NewPCG(seed, uint64(number))),
		}
		m.advance(ahead)
		m.power()
		c.machines = append(c.machines, m)
		c.boot(m)
	}
	return c
}

// boot starts a machine's plugin, in which one point of some hundred fails.
func (c *cluster) boot(m *machine) {
	c.t.Helper()
	for {
		err := m.start(c.t, &points{chance: func() bool {
			select {
			case <-c.quiet:
				return false
			default:
				return m.roll(300) == 0
			}
		}})
		if err == nil {
			return
		}
	}
}

// client does what an engine does, at random.
func (c *cluster) client(m *machine) {
	for range 14 {
		pause(time.Duration(m.roll(2000)) * time.Millisecond)
		volume := c.volumes[m.roll(len(c.volumes))]
		switch chance := m.roll(100); {
		case chance < 25:
			c.create(m, volume)
		case chance < 60:
			c.mount(m, volume)
		case chance < 88:
			c.unmount(m)
		default:
			c.remove(m, volume)
		}
	}
}

func pause(while time.Duration) {
	timer := time.NewTimer(while)
	defer timer.Stop()
	<-timer.C
}

// limited is a call's deadline: mostly an engine's, sometimes that of one in a hurry.
func (c *cluster) limited(m *machine) (context.Context, context.CancelFunc) {
	if m.roll(8) == 0 {
		return context.WithTimeout(c.t.Context(), time.Duration(m.roll(500))*time.Millisecond)
	}
	return context.WithTimeout(c.t.Context(), 25*time.Second)
}

// do makes a call and records it.
func (c *cluster) do(m *machine, kind, volume string, work func(ctx context.Context) answer) {
	defer m.enter(1)()
	in := call{kind: kind, volume: volume, node: m.number - 1}
	ctx, cancel := c.limited(m)
	defer cancel()
	id := c.history.begin(in)
	c.history.end(in, id, work(ctx))
}

// create: a node whose catalog has just failed to answer says from its mirror that a volume exists, which another node may have
// removed a moment ago (DESIGN D7). Its answer is then no proof.
func (c *cluster) create(m *machine, volume string) {
	options := own("db")
	if !exclusive(volume) {
		options["access"] = "shared"
	}
	c.do(m, "create", volume, func(ctx context.Context) answer {
		err := m.driver.Create(ctx, volume, options)
		known := err == nil && !m.points.died() && !m.points.lately()
		return answer{done: known, open: !known}
	})
}

// remove: a refusal and a volume that is not there have no effect. What is "not there" may be there since a second on
// another node: names are read from the mirror (DESIGN D7).
func (c *cluster) remove(m *machine, volume string) {
	c.do(m, "remove", volume, func(ctx context.Context) answer {
		err := m.driver.Remove(ctx, volume)
		switch {
		case m.points.died():
			return answer{open: true}
		case err == nil:
			return answer{done: true}
		case errors.Is(err, driver.ErrNotFound), strings.Contains(err.Error(), "it is in use"):
			return answer{}
		}
		return answer{open: true}
	})
}

func (c *cluster) mount(m *machine, volume string) {
	c.do(m, "mount", volume, func(ctx context.Context) answer {
		m.mu.Lock()
		m.ids++
		it := use{volume, fmt.Sprintf("%s-%d-%d", m.name(), m.boots, m.ids)}
		m.mu.Unlock()
		_, err := m.driver.Mount(ctx, volume, it.id, driver.Engine{PID: 1, Started: uint64(m.boots)})
		if err != nil || m.points.died() {
			return answer{} // no container started, and none will
		}
		m.change(volume, func() { m.uses = append(m.uses, it) })
		return answer{done: true}
	})
}

// change changes a machine's containers; the kernel shows those of the volume.
func (m *machine) change(volume string, change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
	var users []mounter.User
	for _, it := range m.uses {
		if it.volume == volume {
			users = append(users, mounter.User{PID: 4242, Name: it.id, Target: "/config"})
		}
	}
	m.kernel.SetUsers(m.target(volume), users...)
}

func (c *cluster) unmount(m *machine) {
	defer m.enter(1)()
	m.mu.Lock()
	if len(m.uses) == 0 {
		m.mu.Unlock()
		return
	}
	at := m.random.IntN(len(m.uses))
	it := m.uses[at]
	in := call{kind: "unmount", volume: it.volume, node: m.number - 1}
	id := c.history.begin(in)
	m.uses = slices.Delete(m.uses, at, at+1)
	m.mu.Unlock()
	m.change(it.volume, func() {})
	_ = m.driver.Unmount(c.t.Context(), it.volume, it.id)
	c.history.end(in, id, answer{done: true})
}

// kill ends a machine's plugin with kill -9 and starts it again. Containers and mounts live on.
func (c *cluster) kill(m *machine) {
	m.points.die()
	defer m.enter(clients)()
	m.end(c.t)
	c.boot(m)
}

// cut takes a machine's power away, and gives it back after a while. Its containers are gone before the others know.
func (c *cluster) cut(m *machine, away time.Duration) {
	m.points.die()
	defer m.enter(clients)()
	m.end(c.t)
	for _, volume := range c.volumes {
		in := call{kind: "die", volume: volume, node: m.number - 1}
		id := c.history.begin(in)
		m.change(volume, func() { m.uses = nil })
		c.history.end(in, id, answer{done: true})
	}
	for _, target := range m.mounted(c.t) {
		assert.Check(c.t, m.kernel.Unmount(c.t.Context(), target))
	}
	m.region.set(m.number, false)
	pause(away)
	m.power()
	c.boot(m)
}

// mounted lists the targets on a machine.
func (n *node) mounted(t *testing.T) []string {
	t.Helper()
	table, err := n.kernel.Table(t.Context(), mounter.Plugin)
	assert.NilError(t, err)
	var targets []string
	for _, line := range table {
		if filepath.Dir(line.Target) == n.folder("volumes") {
			targets = append(targets, line.Target)
		}
	}
	return targets
}
