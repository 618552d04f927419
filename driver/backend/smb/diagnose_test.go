package smb_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// many are volumes with a share mount each.
func (b *bench) many(t *testing.T, number int) []backend.Volume {
	t.Helper()
	volumes := make([]backend.Volume, number)
	for i := range volumes {
		volumes[i] = volume("v", "")
		volumes[i].Location.UID = uint32(i)
		_, err := b.backend.Stage(t.Context(), volumes[i])
		assert.NilError(t, err)
	}
	return volumes
}

// hanging has every look into a mounted share hang until the returned function is called, and counts those that did.
func (b *bench) hanging() (hung func() int, end func()) {
	var mu sync.Mutex
	looks, open := 0, make(chan struct{})
	b.kernel.OnCall(func(action mountertest.Action) error {
		if action.Op == mountertest.OpDo && strings.HasPrefix(action.Target, "share ") {
			select {
			case <-open:
			default:
				mu.Lock()
				looks++
				mu.Unlock()
				<-open
			}
		}
		return nil
	})
	return func() int { mu.Lock(); defer mu.Unlock(); return looks }, sync.OnceFunc(func() { close(open) })
}

// However many shares a NAS has that is off, or hangs, finding that out costs one thread and some seconds, and so does its return.
func TestManySharesOfADeadServer(t *testing.T) {
	for name, server := range map[string]struct {
		dies func(*bench)
		said string
	}{
		"is off":            {func(b *bench) { b.dialling(dropping) }, "does not answer on port 445"},
		"refuses":           {func(b *bench) { b.dialling(refusing) }, "refuses connections to port 445"},
		"accepts and hangs": {func(b *bench) { b.silence("192.168.1.100") }, "has not answered since"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				volumes := b.many(t, 60)
				problems := func() (found int) {
					for _, report := range b.backend.Report() {
						if report["problem"] != nil {
							found++
						}
					}
					return found
				}
				hung, end := b.hanging()
				defer end()
				server.dies(b)
				for range 3 {
					b.pass(longest)
					began := time.Now()
					b.checked(t)
					assert.Assert(t, time.Since(began) < 40*time.Second, "%s", time.Since(began))
					assert.Equal(t, problems(), len(volumes))
				}
				assert.Equal(t, hung(), 1)
				for i, v := range volumes {
					if i%20 == 0 { // who asks is told why, and costs no thread either
						took, err := b.stage(t, patient, v)
						assert.ErrorIs(t, err, backend.ErrUnavailable, fmt.Sprint(v.Location.UID))
						assert.ErrorContains(t, err, server.said)
						assert.Assert(t, took < 3*time.Second, "%s", took) // one limit of 2 s, not two
					}
				}
				assert.Assert(t, hung() == 1, "%d", hung())
				end()
				b.silence("")
				b.dialling(accepting)
				<-time.After(longest)
				b.pass(longest)
				b.checked(t)
				assert.Equal(t, problems(), 0)
				assert.Equal(t, b.mounts(), len(volumes), "nothing was mounted anew")
			})
		})
	}
}

// What cannot be mounted, from another server or the same, says nothing of a share that is: its server is not asked before each Mount.
func TestWellShareBesideOneThatCannotBeMounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		stage := func(v backend.Volume) error {
			_, err := b.backend.Stage(t.Context(), v)
			return err
		}
		assert.NilError(t, stage(volume("v", "")))
		gone := volume("v", "")
		gone.Location.Device = "//gone/films"
		assert.ErrorIs(t, stage(gone), backend.ErrUnavailable)
		b.silence("192.168.1.100") // as a server that takes no more connections
		assert.ErrorIs(t, stage(volume("v", "", "soft")), backend.ErrUnavailable)
		dials := b.probes()
		began := time.Now()
		assert.NilError(t, stage(volume("v", "")))
		assert.Equal(t, time.Since(began), time.Duration(0))
		assert.Equal(t, b.probes(), dials)
	})
}

// besideOneThatHangs mounts a share twice, and has the one of volume v hang until it is released; that of volume w is well.
func (b *bench) besideOneThatHangs(t *testing.T) *mountertest.Hold {
	t.Helper()
	first, err := b.backend.Stage(t.Context(), volume("v", ""))
	assert.NilError(t, err)
	_, err = b.backend.Stage(t.Context(), volume("w", "", "soft"))
	assert.NilError(t, err)
	hold := b.kernel.Hold(mountertest.OpDo, "share "+first.Base.Path)
	_, err = b.stage(t, patient, volume("v", ""))
	assert.ErrorContains(t, err, "has not answered since")
	return hold
}

// A mount that hangs for itself keeps no other one from being used: their server answers. No resolver is needed for that.
func TestWellShareBesideOneThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		hold := b.besideOneThatHangs(t)
		resolving := b.kernel.Hold(mountertest.OpResolve, "")
		dials := b.probes()
		took, err := b.stage(t, patient, volume("w", "", "soft"))
		assert.NilError(t, err)
		assert.Equal(t, took, time.Duration(0))
		assert.Equal(t, b.probes(), dials+2, "the port, and the greeting")
		b.kernel.Release(resolving)
		b.kernel.Release(hold)
	})
}

// A server that is slow to accept, as over a line that lost a packet, is there: a resolver that hangs is not waited for.
func TestWellShareOfASlowServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		hold := b.besideOneThatHangs(t)
		resolving := b.kernel.Hold(mountertest.OpResolve, "")
		b.dialling(func(ctx context.Context, _ string) error {
			select {
			case <-time.After(time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		took, err := b.stage(t, patient, volume("w", "", "soft"))
		assert.NilError(t, err)
		assert.Equal(t, took, 2*time.Second, "the port, and the greeting")
		b.kernel.Release(resolving)
		b.kernel.Release(hold)
	})
}

// A server that always takes its time for a greeting is back: its shares, of which each one knew that the other had no answer, are used again.
func TestSharesOfASlowServerHeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		volumes := b.many(t, 2)
		look := func() {
			b.pass(longest)
			<-time.After(longest)
			b.checked(t)
		}
		_, end := b.hanging()
		b.dialling(dropping)
		look()
		for _, volume := range volumes {
			assert.Assert(t, b.backend.Status(volume)["problem"] != nil)
		}
		end()
		b.dialling(accepting)
		b.mute, b.late = "192.168.1.100", 3*time.Second
		look()
		for _, volume := range volumes {
			assert.Equal(t, b.backend.Status(volume)["problem"], nil)
			took, err := b.stage(t, patient, volume)
			assert.NilError(t, err)
			assert.Equal(t, took, time.Duration(0))
		}
		assert.Equal(t, b.mounts(), 2)
	})
}

// A server that ends new connections, as one that has too many, is there: a share that is mounted from it is used.
func TestWellShareOfAServerThatTakesNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		hold := b.besideOneThatHangs(t)
		b.says = "" // not a word, and the end
		took, err := b.stage(t, patient, volume("w", "", "soft"))
		assert.NilError(t, err)
		assert.Equal(t, took, time.Duration(0))
		b.kernel.Release(hold)
	})
}

// A share that was away is asked after sooner, also when the kernel has given the last look up meanwhile.
func TestAwayAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		first, err := b.backend.Stage(t.Context(), volume("v", ""))
		assert.NilError(t, err)
		b.dialling(dropping)
		for _, limit := range []time.Duration{3 * time.Second, 2250 * time.Millisecond} { // 1 s or 250 ms, and the port's 2 s
			hold := b.kernel.Hold(mountertest.OpDo, "share "+first.Base.Path)
			took, err := b.stage(t, patient, volume("v", ""))
			assert.ErrorContains(t, err, "does not answer on port 445")
			assert.Equal(t, took, limit)
			b.kernel.Release(hold)
			synctest.Wait()
		}
	})
}

func (b *bench) probes() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.dials)
}
