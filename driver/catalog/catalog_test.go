package catalog_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/mounter"
)

func TestLifeOfARecord(t *testing.T) {
	shared := sharedFolder(t)
	n := newNode(t, shared)
	begun := record("radarr_config")
	begun.State = catalog.Creating
	made := n.put(t, begun)
	made.State = catalog.Ready
	ready := n.put(t, made)
	assert.Assert(t, ready.Generation > made.Generation)

	got, has := n.Get("radarr_config")
	assert.Assert(t, has)
	assert.DeepEqual(t, got, ready)
	got, has = n.ByID(begun.ID)
	assert.Assert(t, has)
	assert.Equal(t, got.State, catalog.Ready)
	n.put(t, record("a_first"))
	assert.DeepEqual(t, n.names(), []string{"a_first", "radarr_config"})

	assert.NilError(t, n.Remove(t.Context(), begun.ID))
	assert.NilError(t, n.Remove(t.Context(), begun.ID), "removing again is success")
	assert.DeepEqual(t, n.names(), []string{"a_first"})
	_, err := n.Put(t.Context(), begun)
	assert.ErrorIs(t, err, catalog.ErrGone)
	n.put(t, record("radarr_config")) // the name is free for another volume
}

func TestReadsSurviveWithoutThePool(t *testing.T) {
	shared := sharedFolder(t)
	n := newNode(t, shared)
	kept := n.put(t, record("kept"))
	gone := n.put(t, record("gone"))
	assert.NilError(t, n.Remove(t.Context(), gone.ID))

	n = n.reopen(t)
	assert.DeepEqual(t, n.names(), []string{"kept"})
	assert.Assert(t, !n.State().Attached)
	_, err := n.Put(t.Context(), record("new"))
	assert.ErrorIs(t, err, catalog.ErrDetached)
	assert.Error(t, err, "the volume catalog is away: its pool cannot be used on this node now. Volumes are listed and mounted from "+
		"this node's copy, and none is created or removed until the pool is back; \"docker homelab status\" says what is wrong with it")
	assert.ErrorIs(t, n.Remove(t.Context(), kept.ID), catalog.ErrDetached)
	assert.ErrorIs(t, n.Refresh(t.Context()), catalog.ErrDetached)

	assert.NilError(t, n.Attach(t.Context(), shared))
	n.put(t, record("new"))
	n.Detach()
	assert.DeepEqual(t, n.names(), []string{"kept", "new"})
}

func TestPoolThatIsNotMounted(t *testing.T) {
	base := t.TempDir()
	shared := filepath.Join(base, "pool", ".homelab-storage", "catalog")
	n := openNode(t, options(t.TempDir(), &doer{}))
	assert.ErrorContains(t, n.Attach(t.Context(), shared), "is the pool mounted?")
	entries, err := os.ReadDir(base)
	assert.NilError(t, err)
	assert.Equal(t, len(entries), 0, "nothing is written to the root disk")
	assert.Assert(t, !n.State().Attached)
}

func TestSeveralNodesAgree(t *testing.T) {
	shared := sharedFolder(t)
	a, b := newNode(t, shared), newNode(t, shared)
	assert.Equal(t, a.State().UUID, b.State().UUID)
	first := a.put(t, record("first"))
	assert.DeepEqual(t, b.names(), []string{})
	assert.NilError(t, b.Refresh(t.Context()))
	assert.DeepEqual(t, b.List(), a.List())

	first.Class = "config"
	b.put(t, first)
	_, err := a.Put(t.Context(), first)
	assert.ErrorIs(t, err, catalog.ErrChanged)
	got, _ := a.Get("first")
	assert.Equal(t, got.Class, "config", "the conflict brought the present record")
	assert.NilError(t, a.Remove(t.Context(), first.ID))
	assert.NilError(t, b.Refresh(t.Context()))
	assert.DeepEqual(t, b.names(), []string{})
	assert.DeepEqual(t, a.State(), b.State())
}

func TestNameOfAnotherVolume(t *testing.T) {
	shared := sharedFolder(t)
	a, b := newNode(t, shared), newNode(t, shared)
	mine := a.put(t, record("same"))
	present, err := b.Put(t.Context(), record("same"))
	assert.ErrorIs(t, err, catalog.ErrExists)
	assert.Error(t, err, "another volume has the name: volume same was created on node-1 at 2026-03-01 12:00:00 UTC")
	assert.DeepEqual(t, present, mine)
	got, has := b.Get("same")
	assert.Assert(t, has, "the conflict brought the record")
	assert.DeepEqual(t, got, mine)
	renamed := mine
	renamed.Name = "other"
	_, err = a.Put(t.Context(), renamed)
	assert.ErrorIs(t, err, catalog.ErrInvalid)
}

func TestFarBehind(t *testing.T) {
	shared := sharedFolder(t)
	a, b := newNode(t, shared), newNode(t, shared)
	first := a.put(t, record("first"))
	assert.NilError(t, b.Refresh(t.Context()))
	assert.NilError(t, a.Remove(t.Context(), first.ID))
	for number := range 80 {
		a.put(t, record(name(number)))
	}
	assert.NilError(t, b.Refresh(t.Context()))
	assert.DeepEqual(t, a.List(), b.List())
	assert.DeepEqual(t, a.State(), b.State())
}

func TestFsyncsOfAChange(t *testing.T) {
	var pool, disk counter
	given := options(t.TempDir(), &doer{})
	given.Shared = []durable.Option{durable.WithFault(pool.step)}
	given.Node = []durable.Option{durable.WithFault(disk.step)}
	n := openNode(t, given)
	assert.NilError(t, n.Attach(t.Context(), sharedFolder(t)))
	n.put(t, record("first"))
	pool, disk = counter{}, counter{}
	made := n.put(t, record("second"))
	assert.Equal(t, pool.fsyncs, 4)
	assert.Equal(t, disk.fsyncs, 1)
	pool, disk = counter{}, counter{}
	assert.NilError(t, n.Remove(t.Context(), made.ID))
	assert.Equal(t, pool.fsyncs, 4)
	assert.Equal(t, disk.fsyncs, 1)
	pool, disk = counter{}, counter{}
	assert.NilError(t, n.Refresh(t.Context()))
	assert.Equal(t, pool.fsyncs+disk.fsyncs, 0)
}

// TestHungPool: reads answer, the first write costs its deadline, the next ones nothing, and a late success is found.
func TestHungPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, sharedFolder(t))
		n.put(t, record("there"))
		n.doer.gate = make(chan struct{})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := n.Put(ctx, record("late"))
		assert.ErrorIs(t, err, mounter.ErrStuck)
		_, err = n.Put(t.Context(), record("next"))
		assert.ErrorIs(t, err, mounter.ErrBusy)
		assert.DeepEqual(t, n.names(), []string{"there"})
		_, has := n.Get("there")
		assert.Assert(t, has)
		assert.Assert(t, n.State().Attached)

		close(n.doer.gate)
		assert.NilError(t, eventually(t, func() error { return n.Refresh(t.Context()) }))
		assert.DeepEqual(t, n.names(), []string{"there"}) // whoever gave up changes nothing
	})
}

func eventually(t *testing.T, try func() error) error {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(5 * time.Second)
	for {
		err := try()
		if err == nil || !errors.Is(err, mounter.ErrBusy) {
			return err
		}
		select {
		case <-ticker.C:
		case <-limit:
			return err
		}
	}
}

// TestRaces has nodes create and remove the same names at once; one volume wins each name, and all agree.
func TestRaces(t *testing.T) {
	shared := sharedFolder(t)
	nodes := []*node{newNode(t, shared), newNode(t, shared), newNode(t, shared)}
	const names = 10
	var mu sync.Mutex
	won := map[string][]string{}
	var wait sync.WaitGroup
	for _, n := range nodes {
		wait.Go(func() {
			for number := range names {
				made, err := n.Put(t.Context(), record(name(number)))
				if errors.Is(err, catalog.ErrExists) {
					continue
				}
				assert.Check(t, err)
				mu.Lock()
				won[made.Name] = append(won[made.Name], made.ID)
				mu.Unlock()
				if number%3 == 0 {
					assert.Check(t, n.Remove(t.Context(), made.ID))
				}
			}
		})
	}
	wait.Wait()
	for _, n := range nodes {
		assert.NilError(t, n.Refresh(t.Context()))
		assert.DeepEqual(t, n.List(), nodes[0].List())
	}
	for number := range names {
		got, has := nodes[0].Get(name(number))
		if number%3 == 0 {
			assert.Assert(t, !has)
			continue
		}
		assert.DeepEqual(t, won[name(number)], []string{got.ID})
	}
}

func TestSecondPluginOfTheNodeReadsTheMirror(t *testing.T) {
	shared, mirror := sharedFolder(t), t.TempDir()
	a := openNode(t, options(mirror, &doer{}))
	assert.NilError(t, a.Attach(t.Context(), shared))
	a.put(t, record("first"))
	b := openNode(t, options(mirror, &doer{}))
	assert.DeepEqual(t, b.names(), []string{"first"})
	assert.NilError(t, b.Attach(t.Context(), shared))
	b.put(t, record("second"))
	assert.NilError(t, b.Close())
	assert.NilError(t, a.Refresh(t.Context()))
	assert.DeepEqual(t, a.reopen(t).names(), []string{"first", "second"})
}

func TestTombstonesExpire(t *testing.T) {
	shared := sharedFolder(t)
	now := start
	given := options(t.TempDir(), &doer{})
	given.Now = func() time.Time { return now }
	n := openNode(t, given)
	assert.NilError(t, n.Attach(t.Context(), shared))
	old := n.put(t, record("old"))
	recent := n.put(t, record("recent"))
	assert.NilError(t, n.Remove(t.Context(), old.ID))
	now = start.Add(91 * 24 * time.Hour)
	assert.NilError(t, n.Remove(t.Context(), recent.ID))
	files, err := os.ReadDir(filepath.Join(shared, "tombstones"))
	assert.NilError(t, err)
	assert.Equal(t, len(files), 1)
	assert.Equal(t, files[0].Name(), recent.ID+".json")
}

func TestInvalidRecordsAreNotWritten(t *testing.T) {
	n := newNode(t, sharedFolder(t))
	bad := record("ok")
	bad.Location.Subdir = "../../etc"
	_, err := n.Put(t.Context(), bad)
	assert.ErrorIs(t, err, catalog.ErrInvalid)
	assert.ErrorContains(t, err, `"../../etc"`)
	big := record("ok")
	big.Options = map[string]string{"o": strings.Repeat("x", catalog.MaxRecord)}
	_, err = n.Put(t.Context(), big)
	assert.ErrorIs(t, err, catalog.ErrInvalid)
	assert.NilError(t, n.Scan(t.Context()))
	assert.Equal(t, n.State().Generation, uint64(1))
	assert.ErrorIs(t, n.Remove(t.Context(), "../x"), catalog.ErrInvalid)
}
