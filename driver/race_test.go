package driver_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// Two nodes make one volume at the same moment, and remove it: compose does that on every node.
func TestTwoNodesMakeAndRemoveOneVolume(t *testing.T) {
	b := newBench(t)
	b.create(t, "first", nil) // attaches
	nodes := []*bench{b, b.other(t)}
	nodes[1].create(t, "second", nil)
	for range 10 {
		for err := range both(nodes, func(d *driver.Driver) error {
			return d.Create(t.Context(), "raced", map[string]string{"class": "db"})
		}) {
			assert.NilError(t, err)
		}
		one, err := b.driver.Get(t.Context(), "raced")
		assert.NilError(t, err)
		other, err := nodes[1].driver.Get(t.Context(), "raced")
		assert.NilError(t, err)
		assert.Equal(t, one.Status["id"], other.Status["id"])
		for err := range both(nodes, func(d *driver.Driver) error { return d.Remove(t.Context(), "raced") }) {
			assert.Assert(t, err == nil || errors.Is(err, driver.ErrNotFound), err)
		}
		_, err = b.driver.Get(t.Context(), "raced")
		assert.ErrorIs(t, err, driver.ErrNotFound)
	}
}

// both does something on two nodes at once.
func both(nodes []*bench, do func(*driver.Driver) error) func(yield func(error) bool) {
	results := make(chan error, len(nodes))
	for _, node := range nodes {
		go func() { results <- do(node.driver) }()
	}
	return func(yield func(error) bool) {
		for range nodes {
			if err := <-results; !yield(err) {
				return
			}
		}
	}
}

// A removal that was interrupted on one node, and was completed by another one's Create, is not what this node is asked for when it is
// asked again: that is the volume that has the name now.
func TestRemoveOfAVolumeMadeAnewElsewhere(t *testing.T) {
	b := newBench(t)
	b.create(t, "films", map[string]string{"class": "db"})
	second := b.other(t)
	second.create(t, "attached", nil)
	b.pool.failRemove.Store(true)
	assert.ErrorContains(t, second.driver.Remove(t.Context(), "films"), "the removal has begun and goes on by itself")
	b.pool.failRemove.Store(false)
	b.create(t, "films", map[string]string{"class": "db"})
	assert.NilError(t, second.driver.Remove(t.Context(), "films"))
	_, err := os.Stat(filepath.Join(b.pool.proven().Private, backend.CatalogFolder, "volumes", "films.json"))
	assert.ErrorIs(t, err, os.ErrNotExist, "it answered that the volume is removed")
	assert.DeepEqual(t, b.pool.trash, []string{"films", "films"})
}

// A removal that another node has begun is not completed while a third one, which mounted the volume just before, has it.
func TestCompleteARemovalOfAMountedVolume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.create(t, "films", map[string]string{"class": "db"})
		second := b.other(t)
		second.create(t, "attached", nil)
		b.mount(t, "films", "id")
		assert.NilError(t, second.driver.Intend(t.Context(), "films"))
		assert.ErrorContains(t, second.driver.Create(t.Context(), "films", map[string]string{"class": "db"}), "it is in use on node ")
		second.driver.Sweep(t.Context())
		assert.Equal(t, len(b.pool.trash), 0)
		assert.NilError(t, b.driver.Unmount(t.Context(), "films", "id"))
		b.holders(t, 0)
		second.create(t, "films", map[string]string{"class": "db"})
		assert.DeepEqual(t, b.pool.trash, []string{"films"})
	})
}

// Two nodes remove a volume, as ansible does. One sees a third's hold and takes its intent back, which must not come while the other
// moves the data away: the third node's container would write into the trash.
func TestIntentIsNotTakenBackUnderARemoval(t *testing.T) {
	for what, do := range map[string]func(*driver.Driver) error{
		"removal":    func(d *driver.Driver) error { return d.Remove(t.Context(), "films") },
		"completion": func(d *driver.Driver) error { return d.Create(t.Context(), "films", map[string]string{"class": "db"}) },
	} {
		b := newBench(t)
		b.create(t, "films", map[string]string{"class": "db"})
		second := b.other(t)
		second.create(t, "attached", nil)
		assert.NilError(t, b.driver.Intend(t.Context(), "films"))
		var withdrawn error
		b.pool.removing = func() { withdrawn = b.driver.Withdraw(t.Context(), "films") }
		assert.NilError(t, do(second.driver), what)
		assert.ErrorIs(t, withdrawn, catalog.ErrChanged, what)
		assert.DeepEqual(t, b.pool.trash, []string{"films"})
	}
}

// Nor does the second one take the intent back: the hold that it sees is of a Mount that sees the intent, and goes.
func TestSecondRemovalWaitsForAHoldThatGoes(t *testing.T) {
	b := newBench(t)
	b.create(t, "films", map[string]string{"class": "db"})
	held := false
	b.options.Durable = []durable.Option{durable.WithFault(func(op, name string) error {
		if op != durable.OpWrite || name != "volumes/films.json" || held {
			return nil
		}
		held = true
		return b.driver.Hold(t.Context(), "films")
	})}
	second := b.other(t)
	second.create(t, "attached", nil)
	assert.NilError(t, b.driver.Intend(t.Context(), "films"))
	err := second.driver.Remove(t.Context(), "films")
	assert.ErrorContains(t, err, "the removal has begun and goes on by itself")
	assert.ErrorContains(t, err, "it is in use on node node1")
	info, err := second.driver.Get(t.Context(), "films")
	assert.NilError(t, err)
	assert.Equal(t, info.Status["state"], string(catalog.Removing))
	b.driver.Sweep(t.Context()) // the Mount fails, and gives its hold back
	second.driver.Sweep(t.Context())
	assert.DeepEqual(t, b.pool.trash, []string{"films"})
	_, err = second.driver.Get(t.Context(), "films")
	assert.ErrorIs(t, err, driver.ErrNotFound)
}

// A removed volume is not mounted by a node that has not heard of it yet.
func TestMountAfterAnotherNodesRemoval(t *testing.T) {
	b := newBench(t)
	b.create(t, "films", map[string]string{"class": "db"})
	second := b.other(t)
	second.create(t, "other", nil)
	assert.NilError(t, b.driver.Remove(t.Context(), "films"))
	assert.NilError(t, os.Mkdir(filepath.Join(b.kernel.HostPath(poolPath), "films"), 0o700)) // as if it were only about to go
	_, err := second.driver.Mount(t.Context(), "films", "use", engine())
	assert.ErrorIs(t, err, driver.ErrNotFound)
}

// What another node has only half made is left to it for as long as that may take, and no longer.
func TestHalfMadeVolumeOfAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		b.create(t, "films", map[string]string{"class": "db"})
		record := filepath.Join(b.pool.proven().Private, backend.CatalogFolder, "volumes", "films.json")
		content, err := os.ReadFile(record)
		assert.NilError(t, err)
		assert.NilError(t, os.WriteFile(record, []byte(strings.Replace(string(content), `"ready"`, `"creating"`, 1)), 0o600))

		second := b.other(t)
		assert.NilError(t, second.driver.Close())
		second.driver, second.options.Now = nil, func() time.Time { return now }
		second.start(t)
		second.create(t, "attached", nil)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		err = second.driver.Create(ctx, "films", map[string]string{"class": "db"})
		assert.ErrorContains(t, err, "node node1 is making it, since 20")
		now = now.Add(31 * time.Second)
		second.create(t, "films", map[string]string{"class": "db"})
		info, err := second.driver.Get(t.Context(), "films")
		assert.NilError(t, err)
		assert.Equal(t, info.Status["state"], string(catalog.Ready))
	})
}
