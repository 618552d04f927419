package holder_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/holder"
	"github.com/homelab-storage/homelab-storage/mounter"
)

func TestExclusive(t *testing.T) {
	l := newLab(t)
	a, b := l.node(1, "boot-a"), l.node(2, "boot-b")
	first := l.join(a, "radarr", holder.Exclusive, vol1)
	assert.Equal(t, first.Record.Mode, holder.Exclusive)
	assert.Assert(t, l.join(a, "radarr", holder.Exclusive, vol1).Again)
	l.join(a, "radarr", holder.Exclusive, vol2) // another volume of the same directory on the same node

	_, err := b.Join(t.Context(), l.directory("radarr"), holder.Exclusive, vol1)
	var held *holder.HeldError
	assert.Assert(t, errors.As(err, &held))
	assert.Equal(t, held.Holder.Name, "node-1")
	assert.Error(t, err, "directory \"radarr\" of pool media-apps: node node-1 has it for itself alone, since 2026-03-01 12:00:00 UTC; "+
		"waited 0s for it. Stop the container that uses it on node-1 (Swarm tries again by itself); if that node is gone for good, "+
		"`docker homelab holder break VOLUME node-1` frees the directory")
	_, err = b.Join(t.Context(), l.directory("radarr"), holder.Shared, vol1)
	assert.Assert(t, errors.As(err, &held))

	l.join(b, "sonarr", holder.Exclusive, vol2) // another directory is free
	l.release(a, "radarr", vol1)
	_, err = b.Join(t.Context(), l.directory("radarr"), holder.Exclusive, vol1)
	assert.Assert(t, errors.As(err, &held), "one of two volumes is still there")
	l.release(a, "radarr", vol2)
	l.join(b, "radarr", holder.Exclusive, vol1)
	assert.DeepEqual(t, l.holders(a, "radarr"), []string{"node-2/managed"})
}

func TestShared(t *testing.T) {
	l := newLab(t)
	a, b := l.node(1, "boot-a"), l.node(2, "boot-b")
	l.join(a, "config", holder.Shared, vol1)
	l.join(b, "config", holder.Shared, vol1)
	assert.DeepEqual(t, l.holders(a, "config"), []string{"node-1/managed", "node-2/managed"})
	_, err := a.Join(t.Context(), l.directory("config"), holder.Exclusive, vol2)
	assert.ErrorContains(t, err, "node node-2 uses it, and this volume needs it for one node alone")
	assert.ErrorContains(t, a.Switch(t.Context(), l.directory("config"), holder.Exclusive, vol1), "node node-2 uses it")
	l.release(b, "config", vol1)
	assert.NilError(t, a.Switch(t.Context(), l.directory("config"), holder.Exclusive, vol1))
	_, err = b.Join(t.Context(), l.directory("config"), holder.Shared, vol1)
	assert.ErrorContains(t, err, "has it for itself alone")
	assert.NilError(t, a.Switch(t.Context(), l.directory("config"), holder.Shared, vol1))
	l.join(b, "config", holder.Shared, vol1)
	assert.ErrorContains(t, a.Switch(t.Context(), l.directory("config"), holder.Shared, vol2), "has no hold to change")
}

func TestWaitsForTheRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		a := l.node(1, "boot-a")
		b := l.node(2, "boot-b", func(o *holder.Options) {
			o.Wait = func() time.Duration { return 10 * time.Second }
			o.Now = time.Now
		})
		l.join(a, "radarr", holder.Exclusive, vol1)
		assert.Equal(t, l.join(b, "sonarr", holder.Exclusive, vol2).Waited, time.Duration(0))
		got := make(chan error, 1)
		var waited time.Duration
		go func() {
			result, err := b.Join(t.Context(), l.directory("radarr"), holder.Exclusive, vol1)
			waited = result.Waited
			got <- err
		}()
		select {
		case err := <-got:
			t.Fatalf("joined while another node holds: %v", err)
		case <-time.After(30 * time.Millisecond):
		}
		l.release(a, "radarr", vol1)
		assert.NilError(t, <-got)
		assert.Assert(t, waited >= 30*time.Millisecond, "%s", waited)
		assert.DeepEqual(t, l.holders(a, "radarr"), []string{"node-2/managed"})
	})
}

func TestTheContextEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		a := l.node(1, "boot-a")
		b := l.node(2, "boot-b", func(o *holder.Options) { o.Wait = func() time.Duration { return time.Hour } })
		l.join(a, "radarr", holder.Exclusive, vol1)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := b.Join(ctx, l.directory("radarr"), holder.Exclusive, vol1)
		var held *holder.HeldError
		assert.Assert(t, errors.As(err, &held), "%v", err)
		poll.WaitOn(t, func(poll.LogT) poll.Result { // what was given up goes on for a moment, and writes
			if _, err := b.Show(t.Context(), l.directory("radarr")); err != nil {
				return poll.Continue("%v", err)
			}
			return poll.Success()
		})
	})
}

// TestTheLastLookIsCutOff: the reason is what the look before it saw, not that time was up.
func TestTheLastLookIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		a := l.node(1, "boot-a")
		b := l.node(2, "boot-b", func(o *holder.Options) { o.Wait = func() time.Duration { return time.Hour } })
		l.join(a, "radarr", holder.Exclusive, vol1)
		b.kernel.gate = make(chan struct{}, 1)
		b.kernel.gate <- struct{}{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := b.Join(ctx, l.directory("radarr"), holder.Exclusive, vol1)
		var held *holder.HeldError
		assert.Assert(t, errors.As(err, &held), "%v", err)
		assert.Equal(t, held.Holder.Name, "node-1")
		assert.DeepEqual(t, b.Pending(), map[string][]string{l.pool.UUID: {vol1}})
		close(b.kernel.gate)
		synctest.Wait()
	})
}

// TestGone is the table of who may be taken over.
func TestGone(t *testing.T) {
	for _, given := range []struct {
		name  string
		spoil func(l *lab, a, b *host)
		taken bool
	}{
		{"live", func(*lab, *host, *host) {}, false},
		{"dead in the region", func(l *lab, _, _ *host) { l.region.set(1, false) }, true},
		{"dead, but this node is not in the view", func(l *lab, _, _ *host) { l.region.set(1, false); l.region.set(2, false) }, false},
		{"no region here", func(l *lab, _, b *host) { l.region.set(1, false); b.kernel.blind = true }, false},
		{"rebooted and published", func(l *lab, _, _ *host) {
			assert.NilError(l.t, l.node(1, "boot-a2").PublishNode(l.t.Context(), l.pool))
		}, true},
		{"rebooted and not yet published", func(l *lab, _, _ *host) { l.node(1, "boot-a2") }, false},
		{"another node took its name", func(l *lab, _, _ *host) {
			file := filepath.Join(l.pool.Private, "nodes", "node-1.json")
			assert.NilError(l.t, os.WriteFile(file, []byte(`{"version":1,"name":"node-1","node":7,"boot_id":"x"}`), 0o600))
		}, false},
		{"what it published is damaged", func(l *lab, _, _ *host) {
			assert.NilError(l.t, os.WriteFile(filepath.Join(l.pool.Private, "nodes", "node-1.json"), []byte(`{`), 0o600))
		}, false},
	} {
		t.Run(given.name, func(t *testing.T) {
			l := newLab(t)
			a, b := l.node(1, "boot-a"), l.node(2, "boot-b")
			l.join(a, "radarr", holder.Exclusive, vol1)
			given.spoil(l, a, b)
			result, err := b.Join(t.Context(), l.directory("radarr"), holder.Exclusive, vol1)
			if !given.taken {
				var held *holder.HeldError
				assert.Assert(t, errors.As(err, &held), "%v", err)
				return
			}
			assert.NilError(t, err)
			assert.Equal(t, len(result.TakenOver), 1)
			assert.DeepEqual(t, l.holders(b, "radarr"), []string{"node-2/managed"})
		})
	}
}

func TestOwnReboot(t *testing.T) {
	l := newLab(t)
	l.join(l.node(1, "boot-a"), "radarr", holder.Exclusive, vol1)
	again := l.node(1, "boot-a2")
	result := l.join(again, "radarr", holder.Exclusive, vol2)
	assert.Equal(t, len(result.Record.Holders), 1)
	assert.Equal(t, result.Record.Holders[0].Boot, "boot-a2")
	assert.Assert(t, again.Own(result.Record.Holders[0]))
}

func TestTwoPluginsOfOneNode(t *testing.T) {
	l := newLab(t)
	managed := l.node(1, "boot-a")
	plain := l.plugin(managed.kernel, "plain")
	l.join(managed, "radarr", holder.Exclusive, vol1)
	l.join(plain, "radarr", holder.Exclusive, vol1)
	assert.DeepEqual(t, l.holders(plain, "radarr"), []string{"node-1/managed", "node-1/plain"})
	l.release(plain, "radarr", vol1)
	assert.DeepEqual(t, l.holders(plain, "radarr"), []string{"node-1/managed"})
	_, err := l.node(2, "boot-b").Join(t.Context(), l.directory("radarr"), holder.Exclusive, vol1)
	assert.ErrorContains(t, err, "node node-1 has it")
}

func TestStandalonePool(t *testing.T) {
	l := newLab(t)
	l.pool.Standalone = true
	a := l.node(1, "boot-a")
	l.join(a, "radarr", holder.Exclusive, vol1)
	// After a reboot, under another host name and without any cluster, it is still the only possible holder.
	renamed := l.plugin(&kernel{boot: "boot-2", blind: true}, "managed", func(o *holder.Options) { o.Node = "renamed" })
	l.join(renamed, "radarr", holder.Exclusive, vol1)
	assert.DeepEqual(t, l.holders(renamed, "radarr"), []string{"renamed/managed"})
}

func TestPendingRelease(t *testing.T) {
	l := newLab(t)
	a := l.node(1, "boot-a")
	l.join(a, "radarr", holder.Exclusive, vol1)
	l.join(a, "sonarr", holder.Exclusive, vol2)
	assert.NilError(t, a.Intend(l.directory("radarr"), vol1))
	assert.NilError(t, a.Intend(l.directory("sonarr"), vol2))

	// The plugin dies before it synced; the next one finds what was intended, and that sonarr is still mounted.
	assert.NilError(t, a.Close())
	a = l.start(a.kernel, a.options)
	assert.DeepEqual(t, a.Pending(), map[string][]string{l.pool.UUID: {vol1, vol2}})
	assert.DeepEqual(t, l.holders(a, "radarr"), []string{"node-1/managed"})
	released, err := a.Resume(t.Context(), l.pool, func(volume string) holder.Verdict {
		return map[string]holder.Verdict{vol2: holder.Keep}[volume]
	})
	assert.NilError(t, err)
	assert.DeepEqual(t, released, []string{vol1})
	assert.DeepEqual(t, l.holders(a, "radarr"), []string{})
	assert.DeepEqual(t, l.holders(a, "sonarr"), []string{"node-1/managed"})
	assert.Equal(t, len(a.Pending()), 0)
	assert.Equal(t, len(l.start(a.kernel, a.options).Pending()), 0)
}

func TestJoinTakesTheIntentBack(t *testing.T) {
	l := newLab(t)
	a := l.node(1, "boot-a")
	l.join(a, "radarr", holder.Exclusive, vol1)
	assert.NilError(t, a.Intend(l.directory("radarr"), vol1))
	assert.Assert(t, l.join(a, "radarr", holder.Exclusive, vol1).Again)
	released, err := a.Resume(t.Context(), l.pool, func(string) holder.Verdict { return holder.Give })
	assert.NilError(t, err)
	assert.Equal(t, len(released), 0)
	assert.DeepEqual(t, l.holders(a, "radarr"), []string{"node-1/managed"})
}

// TestStuckJoin: whoever gave up gets nothing late, and should it, the hold is released again.
func TestStuckJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		a := l.node(1, "boot-a")
		a.kernel.gate = make(chan struct{})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := a.Join(ctx, l.directory("radarr"), holder.Exclusive, vol1)
		assert.ErrorIs(t, err, mounter.ErrStuck)
		assert.DeepEqual(t, a.Pending(), map[string][]string{l.pool.UUID: {vol1}})
		_, err = a.Join(t.Context(), l.directory("radarr"), holder.Exclusive, vol1)
		assert.ErrorIs(t, err, mounter.ErrBusy)
		close(a.kernel.gate)
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for len(a.Pending()) > 0 {
			<-ticker.C
			_, err = a.Resume(t.Context(), l.pool, func(string) holder.Verdict { return holder.Give })
			assert.Assert(t, err == nil || errors.Is(err, mounter.ErrBusy), "%v", err)
		}
		assert.DeepEqual(t, l.holders(a, "radarr"), []string{})
	})
}

// On a standalone pool there is one possible holder, and a power cut that tore its record ended what it held.
func TestDamagedRecordOfAStandalonePoolHealsItself(t *testing.T) {
	l := newLab(t)
	l.pool.Standalone = true
	a := l.node(1, "boot-a")
	l.join(a, "radarr", holder.Exclusive, vol1)
	record := filepath.Join(l.pool.Private, backend.HoldersFolder, backend.DirectoryKey("radarr"), "record.json")
	assert.NilError(t, os.WriteFile(record, nil, 0o600))
	l.join(a, "radarr", holder.Exclusive, vol1)
}

func TestPoolThatIsNotMounted(t *testing.T) {
	l := newLab(t)
	a := l.node(1, "boot-a")
	assert.NilError(t, os.Remove(l.pool.Private))
	_, err := a.Join(t.Context(), l.directory("radarr"), holder.Exclusive, vol1)
	assert.ErrorContains(t, err, "the private folder of pool media-apps cannot be opened")
	assert.ErrorContains(t, err, "is the pool mounted?")
	_, err = os.Stat(l.pool.Private)
	assert.ErrorIs(t, err, os.ErrNotExist)
}
