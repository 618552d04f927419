package catalog_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/internal/durable"
)

var errInjected = errors.New("injected")

// fault fails the n-th durable step of the shared folder and the mirror together, or that one and all after it: a process
// that died there.
type fault struct {
	at    int
	dies  bool
	steps int
}

func (f *fault) step(string, string) error {
	f.steps++
	if f.steps == f.at || f.dies && f.steps > f.at {
		return errInjected
	}
	return nil
}

// script is the life of some volumes; it goes on after errors, as a driver with other volumes does, and returns the
// records whose Put was acknowledged last and the IDs whose Remove was.
func script(t *testing.T, n *node, shared string) (present map[string]catalog.Record, removed map[string]bool, tried map[string]bool) {
	t.Helper()
	present, removed, tried = map[string]catalog.Record{}, map[string]bool{}, map[string]bool{}
	_ = n.Attach(t.Context(), shared)
	for _, name := range []string{"one", "two"} {
		begun := record(name)
		begun.State = catalog.Creating
		tried[begun.ID] = true
		made, err := n.Put(t.Context(), begun)
		if err != nil {
			continue
		}
		present[name] = made
		made.State = catalog.Ready
		if ready, err := n.Put(t.Context(), made); err == nil {
			present[name] = ready
		}
	}
	if first, has := present["one"]; has {
		delete(present, "one") // from now on it may be gone
		if n.Remove(t.Context(), first.ID) == nil {
			removed[first.ID] = true
		}
	}
	return present, removed, tried
}

// TestEveryFault fails, and dies at, every durable step of a script. After a restart, on this node and on another one:
// what was acknowledged is there, what was removed is not, both nodes agree, nothing is frozen or damaged, and the catalog
// works.
func TestEveryFault(t *testing.T) {
	inMemory(t)
	points := 0
	for _, dies := range []bool{false, true} {
		for at := 1; ; at++ {
			shared, mirror := sharedFolder(t), t.TempDir()
			injected := &fault{}
			given := options(mirror, &doer{})
			given.Shared = []durable.Option{durable.WithFault(injected.step)}
			given.Node = given.Shared
			n := openNode(t, given)
			_, _ = n.Get("x") // the mirror is read
			*injected = fault{at: at, dies: dies}
			present, removed, tried := script(t, n, shared)
			if injected.steps < at {
				break
			}
			points++
			injected.at, injected.dies = 0, false
			_ = n.Close()
			checkAfterFault(t, dies, mirror, shared, present, removed, tried)
		}
	}
	t.Logf("measured: %d points", points)
	assert.Assert(t, points >= 100, "%d points", points)
}

func checkAfterFault(t *testing.T, died bool, mirror, shared string, present map[string]catalog.Record, removed, tried map[string]bool) {
	t.Helper()
	again := openNode(t, options(mirror, &doer{}))
	if !died { // who dies before the mirror is written has acknowledged nothing
		for name := range present {
			_, has := again.Get(name)
			assert.Assert(t, has, "the mirror forgot %s", name)
		}
	}
	assert.NilError(t, again.Attach(t.Context(), shared))
	other := newNode(t, shared)
	other.put(t, record("after")) // settles what was left open
	assert.NilError(t, again.Refresh(t.Context()))
	assert.NilError(t, again.Scan(t.Context()))
	assert.DeepEqual(t, again.List(), other.List())
	assert.Equal(t, len(again.Trouble()), 0)
	for name, want := range present {
		got, has := again.Get(name)
		assert.Assert(t, has, "%s is gone", name)
		assert.Equal(t, got.ID, want.ID)
		assert.Assert(t, got.Generation >= want.Generation)
	}
	for _, got := range again.List() {
		assert.Assert(t, !removed[got.ID], "%s came back", got.Name)
		assert.Assert(t, tried[got.ID] || got.Name == "after")
	}
}

// TestTornJournal cuts the mirror's journal at every byte of its tail, as a power cut may: everything before is there.
func TestTornJournal(t *testing.T) {
	inMemory(t)
	shared, mirror := sharedFolder(t), t.TempDir()
	n := openNode(t, options(mirror, &doer{}))
	assert.NilError(t, n.Attach(t.Context(), shared))
	n.put(t, record("first"))
	journal := filepath.Join(mirror, "journal")
	before, err := os.ReadFile(journal)
	assert.NilError(t, err)
	n.put(t, record("second"))
	assert.NilError(t, n.Close())
	whole, err := os.ReadFile(journal)
	assert.NilError(t, err)
	for size := len(before); size <= len(whole); size += 7 {
		torn := append(append([]byte(nil), whole[:size]...), make([]byte, 5)...) // with zeros after, as ext4 may leave
		assert.NilError(t, os.WriteFile(journal, torn, 0o600))
		again := openNode(t, options(mirror, &doer{}))
		_, has := again.Get("first")
		assert.Assert(t, has)
		assert.NilError(t, again.Attach(t.Context(), shared))
		assert.DeepEqual(t, again.names(), []string{"first", "second"})
		again.put(t, record("third"))
		third, _ := again.Get("third")
		assert.NilError(t, again.Remove(t.Context(), third.ID))
		again = again.reopen(t)
		assert.DeepEqual(t, again.names(), []string{"first", "second"})
		assert.NilError(t, again.Close())
	}
}

// TestFullNodeDisk: a mirror that cannot be written is reported, does not stop anything, and is written anew later.
func TestFullNodeDisk(t *testing.T) {
	full := false
	given := options(t.TempDir(), &doer{})
	given.Node = []durable.Option{durable.WithFault(func(op, _ string) error {
		if full && op == durable.OpWrite {
			return errors.New("no space left on device")
		}
		return nil
	})}
	shared := sharedFolder(t)
	n := openNode(t, given)
	assert.NilError(t, n.Attach(t.Context(), shared))
	full = true
	n.put(t, record("first"))
	assert.Equal(t, len(n.Trouble()), 1)
	assert.ErrorContains(t, errors.New(n.Trouble()[0].Text), "no space left on device; make room there")
	full = false
	n.put(t, record("second"))
	assert.Equal(t, len(n.Trouble()), 0)
	assert.DeepEqual(t, n.reopen(t).names(), []string{"first", "second"})
}
