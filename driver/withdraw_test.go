package driver_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/holder"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// writing has the writes of the record of films on another node do something, one after the other.
func (b *bench) writing(t *testing.T, steps ...func() error) (second *bench) {
	t.Helper()
	b.create(t, "films", map[string]string{"class": "db"})
	b.options.Durable = append(b.options.Durable, durable.WithFault(func(op, name string) error {
		if op != durable.OpWrite || name != "volumes/films.json" || len(steps) == 0 {
			return nil
		}
		step := steps[0]
		steps = steps[1:]
		return step()
	}))
	second = b.other(t)
	second.create(t, "attached", nil)
	return second
}

func (b *bench) state(t *testing.T, volume string) any {
	t.Helper()
	info, err := b.driver.Get(t.Context(), volume)
	assert.NilError(t, err)
	return info.Status["state"]
}

// A removal whose time is over when it looks for holds once more has begun, and goes on: nobody said that it must not be carried out.
func TestRemovalThatRunsOutOfTimeGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var hold *mountertest.Hold
		second := b.writing(t, func() error {
			hold = b.kernel.Hold(mountertest.OpDo, "holder "+poolUUID+" "+backend.DirectoryKey("films"))
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := second.driver.Remove(ctx, "films")
		assert.ErrorIs(t, err, mounter.ErrStuck)
		assert.ErrorContains(t, err, "the removal has begun and goes on by itself")
		<-time.After(time.Second)
		b.kernel.Release(hold)
		synctest.Wait()
		second.driver.Sweep(t.Context())
		_, err = second.driver.Get(t.Context(), "films")
		assert.ErrorIs(t, err, driver.ErrNotFound)
		assert.DeepEqual(t, b.pool.trash, []string{"films"})
	})
}

// A hold that is in the way of a removal is said at the end of its time too, and its intent taken back.
func TestRefusedRemovalIsTakenBackInTimeOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		second := b.writing(t, func() error {
			<-time.After(4900 * time.Millisecond)
			return b.driver.Hold(t.Context(), "films")
		}, func() error {
			<-time.After(time.Second)
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := second.driver.Remove(ctx, "films")
		assert.ErrorContains(t, err, "it is in use on node node1")
		assert.Assert(t, !errors.Is(err, mounter.ErrStuck), err)
		assert.Equal(t, second.state(t, "films"), string(catalog.Ready))
	})
}

// An intent that could not be taken back is taken back later, and not carried out as soon as the volume's containers stop: everybody was
// told that it is in use, and no container of it could start.
func TestRefusedRemovalIsTakenBackLater(t *testing.T) {
	create := func(d *driver.Driver) error { return d.Create(t.Context(), "films", map[string]string{"class": "db"}) }
	remove := func(d *driver.Driver) error { return d.Remove(t.Context(), "films") }
	var third func() error // what happens at the third write of the record
	for what, later := range map[string]func(t *testing.T, b, second *bench){
		"by the sweep": func(t *testing.T, _, second *bench) { second.driver.Sweep(t.Context()) },
		"by a Create":  func(t *testing.T, _, second *bench) { assert.NilError(t, create(second.driver)) },
		"with the next Remove": func(t *testing.T, b, second *bench) {
			third = func() error { return b.driver.Hold(t.Context(), "films") }
			assert.ErrorContains(t, remove(second.driver), "in use on node node1")
		},
		"unless another node carries it out": func(t *testing.T, b, second *bench) {
			b.pool.removing = func() {
				b.pool.removing = nil
				second.driver.Sweep(t.Context())
			}
			assert.NilError(t, remove(b.driver))
			assert.DeepEqual(t, b.pool.trash, []string{"films"})
			b.pool.trash = nil
			b.create(t, "films", map[string]string{"class": "db"})
			second.create(t, "films", map[string]string{"class": "db"})
		},
	} {
		t.Run(what, func(t *testing.T) {
			b := newBench(t)
			third = func() error { return nil }
			second := b.writing(t, func() error { return b.driver.Hold(t.Context(), "films") }, func() error { return syscall.EIO }, func() error { return third() })
			err := remove(second.driver)
			assert.ErrorContains(t, err, "it is in use on node node1")
			assert.ErrorIs(t, err, syscall.EIO)
			assert.Equal(t, second.state(t, "films"), string(catalog.Removing))
			b.change(t, "films", func(record *holder.Record) { record.Holders = nil })
			later(t, b, second)
			assert.Equal(t, second.state(t, "films"), string(catalog.Ready))
			assert.Equal(t, len(b.pool.trash), 0)
		})
	}
}

// unmade looks for a volume after another start of the plugin, which completes what was not taken back.
func (b *bench) unmade(t *testing.T, volume string) {
	t.Helper()
	b.start(t)
	b.create(t, "inside", map[string]string{"class": "db", "subdir": volume + "/inside"}) // attaches the catalog
	b.driver.Sweep(t.Context())
	_, err := b.driver.Get(t.Context(), volume)
	assert.ErrorIs(t, err, driver.ErrNotFound)
}

// The intent of a Create that is written long after the call, as by a NAS that did not answer for a while, is taken back by the sweep.
func TestCreateThatIsOnRecordLateIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var silent atomic.Bool
		b.options.Durable = append(b.options.Durable, durable.WithFault(func(op, name string) error {
			if op == durable.OpWrite && name == "volumes/vol.json" && silent.CompareAndSwap(true, false) {
				<-time.After(30 * time.Second)
			}
			return nil
		}))
		b.start(t)
		b.create(t, "other", map[string]string{"class": "db"})
		silent.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		assert.ErrorIs(t, b.driver.Create(ctx, "vol", map[string]string{"class": "db"}), mounter.ErrStuck)
		b.driver.Sweep(t.Context()) // too early
		<-time.After(10 * time.Second)
		b.driver.Sweep(t.Context())
		b.unmade(t, "vol")
	})
}

// So is one that could not be taken back at once, unless another node has gone on with it.
func TestFailedCreateIsTakenBackLater(t *testing.T) {
	for what, made := range map[string]bool{"by the sweep": false, "unless another node makes it": true} {
		t.Run(what, func(t *testing.T) {
			b := newBench(t)
			var failing atomic.Bool
			b.options.Durable = append(b.options.Durable, durable.WithFault(func(_, name string) error {
				if failing.Load() && filepath.Dir(name) == "tombstones" {
					return syscall.EIO
				}
				return nil
			}))
			b.start(t)
			b.create(t, "other", map[string]string{"class": "db"})
			b.share.refuses.Store(true)
			failing.Store(true)
			options := map[string]string{"device": "//nas/films", "username": "media", "password": "canary"}
			assert.ErrorIs(t, b.driver.Create(t.Context(), "vol", options), syscall.EIO)
			failing.Store(false)
			b.share.refuses.Store(false)
			if made {
				second := b.other(t)
				now := time.Now()
				assert.NilError(t, second.driver.Close())
				second.driver, second.options.Now = nil, func() time.Time { now = now.Add(time.Minute); return now }
				second.start(t)
				second.create(t, "vol", options)
				b.driver.Sweep(t.Context())
				assert.Equal(t, b.state(t, "vol"), string(catalog.Ready))
				return
			}
			b.driver.Sweep(t.Context())
			b.unmade(t, "vol")
		})
	}
}
