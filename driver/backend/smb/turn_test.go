package smb_test

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// elsewhere is a volume on another server.
func (b *bench) elsewhere(options ...string) backend.Volume {
	b.kernel.SetAddresses("other", netip.MustParseAddr("192.168.1.7"))
	other := volume("o", "", options...)
	other.Location.Device = "//other/films"
	return other
}

func (b *bench) silence(address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mute = address
}

// stage asks for a volume, for a time, and tells how long the answer took.
func (b *bench) stage(t *testing.T, limit time.Duration, v backend.Volume) (time.Duration, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	began := time.Now()
	_, err := b.backend.Stage(ctx, v)
	return time.Since(began), err
}

const patient = 22 * time.Second // what the driver gives a Mount

// The kernel is not asked to mount from a server that says nothing: all other mounts would wait.
func TestSilentServerDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.silence("192.168.1.100")
		var group sync.WaitGroup
		for uid := range uint32(8) { // each a mount of its own
			silent := volume("v", "")
			silent.Location.UID = uid
			group.Go(func() {
				took, err := b.stage(t, patient, silent)
				assert.Check(t, err != nil && strings.Contains(err.Error(), "accepted the connection and then said nothing: its SMB service hangs, restart it"), "%v", err)
				assert.Check(t, took == 15*time.Second, "%s", took)
			})
		}
		synctest.Wait()
		took, err := b.stage(t, patient, b.elsewhere())
		assert.NilError(t, err)
		assert.Assert(t, took < 500*time.Millisecond, "%s", took)
		_, _ = b.status(), b.backend.Report()
		group.Wait()
		assert.Equal(t, b.mounts(), 1, "only of the other server")
		b.silence("")
		_, err = b.stage(t, patient, volume("v", ""))
		assert.NilError(t, err)
	})
}

// All that a server is asked ends before the driver's time does.
func TestSilentServerBehindASlowResolver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.silence("192.168.1.100")
		hold := b.kernel.Hold(mountertest.OpResolve, "")
		time.AfterFunc(5400*time.Millisecond, func() { b.kernel.Release(hold) })
		b.dialling(func(context.Context, string) error {
			<-time.After(1900 * time.Millisecond)
			return nil
		})
		took, err := b.stage(t, patient, volume("v", ""))
		assert.ErrorContains(t, err, "said nothing")
		assert.Equal(t, took, 21*time.Second)
	})
}

// A greeting may be answered late, and who goes before that is not told that the server hangs.
func TestLateGreeting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.mute, b.late = "192.168.1.100", 14*time.Second
		_, err := b.stage(t, time.Second, volume("v", ""))
		assert.ErrorContains(t, err, "the server nas has been asked since 2000-01-01T00:00:00Z, and this call could not wait longer for its answer: try again")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = b.backend.Test(ctx, volume("v", "").Location)
		assert.ErrorContains(t, err, "could not wait longer for its answer")
		took, err := b.stage(t, patient, volume("v", ""))
		assert.NilError(t, err)
		assert.Equal(t, took, 12*time.Second, "the mount went on")
	})
}

// A server that ends the connection in the second between probe and greeting is not left to the kernel either.
func TestGoneBeforeTheGreeting(t *testing.T) {
	b := newBench(t)
	dials := 0
	b.dialling(func(context.Context, string) error {
		if dials++; dials == 2 {
			return syscall.ECONNREFUSED
		}
		return nil
	})
	_, err := b.backend.Stage(t.Context(), volume("v", ""))
	assert.ErrorContains(t, err, "the server nas (192.168.1.100) refuses connections to port 445: start its SMB service")
	assert.Equal(t, b.mounts(), 0)
}

// A kernel that waits for one server mounts from no other one. Who waits is told which, and for how long it has.
func TestKernelIsBusyWithAnotherServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		mounted := b.elsewhere("ro")
		_, err := b.stage(t, patient, mounted)
		assert.NilError(t, err)
		<-time.After(time.Minute)
		hold := b.kernel.Hold(mountertest.OpMountShare, filepath.Join(b.root, b.key(volume("v", ""))))
		hangs := make(chan error, 1)
		go func() {
			_, err := b.stage(t, patient, volume("v", ""))
			hangs <- err
		}()
		assert.NilError(t, hold.Reached(t.Context()))
		var text strings.Builder
		add := func(title string, want time.Duration, ask func() error) {
			began := time.Now()
			err := ask()
			assert.Assert(t, err != nil, title)
			assert.Equal(t, time.Since(began), want, title)
			fmt.Fprintf(&text, "# %s\n%s\n\n", title, err)
		}
		stage := func(limit time.Duration, v backend.Volume) func() error {
			return func() error { _, err := b.stage(t, limit, v); return err }
		}
		add("goes early", 3*time.Second, stage(3*time.Second, b.elsewhere()))
		add("waits", 12*time.Second, stage(patient, b.elsewhere("soft")))
		add("comes late", 0, stage(patient, b.elsewhere("nobrl")))
		add("comes late, same server", 0, stage(patient, volume("v", "", "soft")))
		add("a test comes late", 0, func() error { return b.backend.Test(t.Context(), b.elsewhere().Location) })
		_, err = b.stage(t, patient, mounted)
		assert.NilError(t, err, "what is mounted does not wait")
		add("who is in the way", 7*time.Second, func() error { return <-hangs })
		golden.Assert(t, text.String(), "turn.golden")
		b.kernel.Release(hold)
		synctest.Wait()
		before := b.mounts()
		for _, v := range []backend.Volume{volume("v", ""), b.elsewhere()} {
			took, err := b.stage(t, patient, v)
			assert.NilError(t, err)
			assert.Equal(t, took, time.Duration(0))
		}
		assert.Equal(t, b.mounts(), before+1, "the late success was used")
	})
}

// Who has the turn has it until the kernel has answered, also when nobody waits for the answer; and a healthy mount is waited for.
func TestTurnLastsAsLongAsTheKernel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		hold := b.kernel.Hold(mountertest.OpMountShare, "")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorContains(t, b.backend.Test(ctx, volume("v", "").Location), "the server nas has not answered since")
		_, err := b.stage(t, 2*time.Second, b.elsewhere())
		assert.ErrorContains(t, err, "has waited for the server nas since 2000-01-01T00:00:00Z")
		time.AfterFunc(5*time.Second, func() { b.kernel.Release(hold) })
		took, err := b.stage(t, patient, b.elsewhere())
		assert.NilError(t, err)
		assert.Equal(t, took, 5*time.Second)
	})
}

// A turn's time counts from its beginning, not from when its server was first asked.
func TestTurnBeginsWithTheKernel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		resolving := b.kernel.Hold(mountertest.OpResolve, "")
		hold := b.kernel.Hold(mountertest.OpMountShare, "")
		time.AfterFunc(5*time.Second, func() { b.kernel.Release(resolving) })
		_, err := b.stage(t, 10*time.Second, volume("v", ""))
		assert.ErrorContains(t, err, "the server nas has not answered since 2000-01-01T00:00:05Z")
		took, err := b.stage(t, patient, b.elsewhere())
		assert.ErrorContains(t, err, "has waited for the server nas since 2000-01-01T00:00:05Z")
		assert.Equal(t, took, 10*time.Second)
		b.kernel.Release(hold)
	})
}

// Shares of a server that is off are answered at the same time, not one after another.
func TestSharesOfOneServerAskAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.dialling(dropping)
		var group sync.WaitGroup
		for uid := range uint32(20) {
			group.Go(func() {
				v := volume("v", "")
				v.Location.UID = uid
				took, err := b.stage(t, patient, v)
				assert.Check(t, err != nil && strings.Contains(err.Error(), "does not answer on port 445 within 2 s"), "%v", err)
				assert.Check(t, took == 2*time.Second, "%s", took)
			})
		}
		group.Wait()
	})
}

// dropping is a firewall, or a server that is off.
func dropping(ctx context.Context, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

// Of volumes that come at once with one wrong password, one logs in.
func TestOneWrongLoginOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.refusing(syscall.EACCES)
		hold := b.kernel.Hold(mountertest.OpMountShare, "")
		var group sync.WaitGroup
		for uid := range uint32(10) {
			group.Go(func() {
				v := volume("v", "")
				v.Location.UID = uid
				_, err := b.backend.Stage(t.Context(), v)
				assert.Check(t, err != nil && strings.Contains(err.Error(), "the user or password is wrong"), "%v", err)
			})
		}
		synctest.Wait()
		b.kernel.Release(hold)
		group.Wait()
		assert.Equal(t, b.mounts(), 1)
	})
}
