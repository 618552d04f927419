package holder_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/holder"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// owners checks from outside, and at once, what the keepers promise: no directory has a node with an exclusive use beside
// another node.
type owners struct {
	mu   sync.Mutex
	uses map[string]map[int]map[string]holder.Mode // directory, node, volume
	err  error
}

func (o *owners) joined(subdir string, node int, volume string, mode holder.Mode) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.uses[subdir] == nil {
		o.uses[subdir] = map[int]map[string]holder.Mode{}
	}
	if o.uses[subdir][node] == nil {
		o.uses[subdir][node] = map[string]holder.Mode{}
	}
	o.uses[subdir][node][volume] = mode
	exclusive := false
	for _, volumes := range o.uses[subdir] {
		for _, mode := range volumes {
			exclusive = exclusive || mode == holder.Exclusive
		}
	}
	if exclusive && len(o.uses[subdir]) > 1 {
		o.err = errors.Join(o.err, fmt.Errorf("%s is exclusive and on several nodes: %v", subdir, o.uses[subdir]))
	}
}

// releasing is called before a release, dead before a node's death is seen by the others.
func (o *owners) releasing(subdir string, node int, volume string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.uses[subdir][node], volume)
	if len(o.uses[subdir][node]) == 0 {
		delete(o.uses[subdir], node)
	}
}

func (o *owners) dead(node int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, nodes := range o.uses {
		delete(nodes, node)
	}
}

// TestNeverTwoExclusiveNodes has nodes join, switch, release, crash, die and reboot at random, all at once.
func TestNeverTwoExclusiveNodes(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			l := newLab(t)
			seen := &owners{uses: map[string]map[int]map[string]holder.Mode{}}
			var wait sync.WaitGroup
			for number := range 4 {
				actor := &actor{l: l, seen: seen, number: number, random: rand.New(rand.NewPCG(seed, uint64(number)))}
				actor.boot()
				wait.Go(func() {
					for range 60 {
						actor.act()
					}
				})
			}
			wait.Wait()
			assert.NilError(t, seen.err)
		})
	}
}

// actor is one node that does things at random.
type actor struct {
	l      *lab
	seen   *owners
	number int
	boots  int
	random *rand.Rand
	on     *host
	held   []held
}

type held struct{ subdir, volume string }

func (a *actor) boot() {
	a.boots++
	a.on = a.l.node(a.number, fmt.Sprintf("boot-%d-%d", a.number, a.boots), func(o *holder.Options) {
		o.Wait = func() time.Duration { return time.Duration(a.random.IntN(4)) * time.Millisecond }
		o.Poll = time.Millisecond
		o.Shared = append(o.Shared, durable.WithFault(a.fault))
	})
	a.held = nil
}

// fault has one durable step in forty fail. Only the actor's own goroutine and the thread it waits for ask.
func (a *actor) fault(string, string) error {
	if a.random.IntN(40) == 0 {
		return errors.New("injected")
	}
	return nil
}

func (a *actor) act() {
	switch chance := a.random.IntN(100); {
	case chance < 50:
		a.join()
	case chance < 85 && len(a.held) > 0:
		a.release(a.random.IntN(len(a.held)))
	case chance < 92:
		a.restart()
	case chance < 96:
		a.die()
	}
}

func (a *actor) join() {
	want := held{fmt.Sprint("directory-", a.random.IntN(2)), fmt.Sprint("volume-", a.random.IntN(3))}
	mode := []holder.Mode{holder.Exclusive, holder.Shared}[a.random.IntN(2)]
	if slices.Contains(a.held, want) {
		return
	}
	_, err := a.on.Join(a.l.t.Context(), a.l.directory(want.subdir), mode, want.volume)
	if err != nil {
		// As the driver does: what may have been written is released again.
		_ = a.on.Release(a.l.t.Context(), a.l.directory(want.subdir), want.volume)
		return
	}
	a.seen.joined(want.subdir, a.number, want.volume, mode)
	a.held = append(a.held, want)
}

func (a *actor) release(at int) {
	it := a.held[at]
	a.seen.releasing(it.subdir, a.number, it.volume)
	a.held = slices.Delete(a.held, at, at+1)
	_ = a.on.Release(a.l.t.Context(), a.l.directory(it.subdir), it.volume)
}

// restart is kill -9 of the plugin: what was mounted stays mounted, what was intended is resumed.
func (a *actor) restart() {
	keeper, err := holder.New(a.l.t.Context(), a.on.options)
	if errors.Is(err, mounter.ErrBusy) {
		return
	}
	assert.Check(a.l.t, err)
	a.on = &host{Keeper: keeper, kernel: a.on.kernel, options: a.on.options}
	_, _ = a.on.Resume(a.l.t.Context(), a.l.pool, func(volume string) holder.Verdict {
		if slices.ContainsFunc(a.held, func(it held) bool { return it.volume == volume }) {
			return holder.Keep
		}
		return holder.Give
	})
	assert.Check(a.l.t, keeper.Close())
	a.on = a.l.start(a.on.kernel, a.on.options)
}

// die is a power cut: the containers are gone, then the others see it, then the node boots.
func (a *actor) die() {
	a.seen.dead(a.number)
	a.l.region.set(a.number, false)
	a.boot()
}
