package smb_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// checked lets the background look at what is due, until it has.
func (b *bench) checked(t *testing.T) {
	t.Helper()
	b.backend.Check(t.Context())
	b.backend.Checked()
}

func (b *bench) status() map[string]any { return b.backend.Status(volume("v", "")) }

func (b *bench) dialling(dial func(ctx context.Context, address string) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dial = dial
}

func refusing(context.Context, string) error { return syscall.ECONNREFUSED }

func accepting(context.Context, string) error { return nil }

// What a node used when its power went is mounted after the boot before anybody asks; a Mount then finds it there.
func TestWarmAfterABoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		for _, location := range []backend.Volume{volume("v", ""), volume("w", "", "soft")} {
			_, err := b.backend.Stage(t.Context(), location)
			assert.NilError(t, err)
		}
		tv := volume("x", "")
		tv.Location.Device, tv.Location.Credentials = "//nas/music", "none" // never mounted: nothing to remember
		_, err := b.backend.Stage(t.Context(), tv)
		assert.Assert(t, err != nil)
		b.kernel.Reboot("another")
		before := b.mounts()
		b.backend = b.restart(b.store)
		b.dialling(refusing) // the network comes up late
		stop := b.run(t)
		until(t, func() bool { return b.status()["problem"] != nil })
		assert.Equal(t, b.mounts(), before)
		b.dialling(accepting)
		b.pass(longest)
		until(t, func() bool { return b.mounts() == before+2 && b.status()["problem"] == nil })
		stop()
		_, err = b.backend.Stage(t.Context(), volume("v", ""))
		assert.NilError(t, err)
		assert.Equal(t, b.mounts(), before+2)
	})
}

// A share that the server refuses at the start is forgotten: nobody has asked for it.
func TestWarmIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		_, err := b.backend.Stage(t.Context(), volume("v", ""))
		assert.NilError(t, err)
		b.kernel.Reboot("another")
		b.kernel.Fail(mountertest.OpMountShare, 1, syscall.EACCES)
		b.backend = b.restart(b.store)
		stop := b.run(t)
		defer stop()
		until(t, func() bool { files, err := os.ReadDir(b.memory); return err == nil && len(files) == 0 })
		assert.Equal(t, len(b.backend.Report()), 0)
		b.pass(time.Minute)
		_, err = b.backend.Stage(t.Context(), volume("v", ""))
		assert.NilError(t, err)
	})
}

// What lingers no longer is not mounted at the next start, nor is what nobody wrote.
func TestColdAfterLingering(t *testing.T) {
	b := newBench(t)
	_, err := b.backend.Stage(t.Context(), volume("v", ""))
	assert.NilError(t, err)
	b.pass(time.Hour)
	b.backend.Sweep(t.Context())
	files, err := os.ReadDir(b.memory)
	assert.NilError(t, err)
	assert.Equal(t, len(files), 0)
	for name, text := range map[string]string{
		"0123456789abcdef.json": `{"kind":"cifs","device":"//evil/share","mode":504}`, "x.json": "{", "y.json": `{"device":"//nas/../etc"}`,
	} {
		assert.NilError(t, os.WriteFile(filepath.Join(b.memory, name), []byte(text), 0o600))
	}
	before := b.mounts()
	b.backend = b.restart(b.store)
	stop := b.run(t)
	until(t, func() bool { files, err := os.ReadDir(b.memory); return err == nil && len(files) == 0 })
	stop()
	assert.Equal(t, b.mounts(), before)
	assert.Equal(t, len(b.backend.Report()), 0)
}

// The background does not mount again what is unmounted, since nobody uses it, just before its look.
func TestUnmountedBeforeALook(t *testing.T) {
	b := newBench(t)
	_, err := b.backend.Stage(t.Context(), volume("v", ""))
	assert.NilError(t, err)
	b.pass(time.Hour)
	before := b.mounts()
	var tables atomic.Int32
	b.kernel.OnCall(func(action mountertest.Action) error {
		if action.Op == mountertest.OpTable && tables.Add(1) == 2 { // the look has found it mounted
			b.backend.Sweep(t.Context())
		}
		return nil
	})
	b.checked(t)
	assert.Equal(t, len(b.kernel.Actions(mountertest.OpUnmount)), 1)
	assert.Equal(t, b.mounts(), before)
	assert.Equal(t, len(b.backend.Report()), 0)
}

// The background looks at an away server less and less often, never at one that refused a password, and says how it is.
func TestBackOff(t *testing.T) {
	b := newBench(t)
	b.dialling(refusing)
	_, err := b.backend.Stage(t.Context(), volume("v", ""))
	assert.Assert(t, errors.Is(err, backend.ErrUnavailable))
	since := b.status()["since"]
	probes := func() int { b.mu.Lock(); defer b.mu.Unlock(); return len(b.dials) }
	before := probes()
	for range 600 { // ten minutes
		b.pass(time.Second)
		b.checked(t)
	}
	assert.Assert(t, probes()-before > 15 && probes()-before < 30, "%d probes", probes()-before)
	assert.Equal(t, b.status()["since"], since)
	assert.Assert(t, b.status()["next_check"] != nil)
	b.dialling(accepting)
	b.pass(longest)
	b.checked(t)
	assert.Equal(t, b.mounts(), 1, "somebody wanted it")
	for _, gone := range []string{"problem", "since", "next_check"} {
		assert.Assert(t, b.status()[gone] == nil, gone)
	}
	b.kernel.Fail(mountertest.OpMountShare, 1, syscall.EACCES)
	_, err = b.backend.Stage(t.Context(), volume("w", "", "soft"))
	assert.ErrorContains(t, err, "the server refused")
	before = b.mounts()
	for range 600 {
		b.pass(time.Second)
		b.checked(t)
	}
	assert.Equal(t, b.mounts(), before)
}

// A share that nobody has asked for in a day is not tried any more.
func TestNobodyWantsIt(t *testing.T) {
	b := newBench(t)
	b.dialling(refusing)
	_, err := b.backend.Stage(t.Context(), volume("v", ""))
	assert.Assert(t, err != nil)
	b.pass(25 * time.Hour)
	b.checked(t)
	assert.Equal(t, len(b.backend.Report()), 0)
}

// A mounted share whose server is away: the answer says why, within the probe's time, and later ones come at once with it.
func TestMountedShareTellsWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		first, err := b.backend.Stage(t.Context(), volume("v", ""))
		assert.NilError(t, err)
		hold := b.kernel.Hold(mountertest.OpDo, "share "+first.Base.Path)
		b.dialling(refusing)
		for try := range 3 {
			began := time.Now()
			_, err = b.backend.Stage(t.Context(), volume("v", ""))
			assert.ErrorContains(t, err, "the server nas (192.168.1.100) refuses connections to port 445: start its SMB service")
			assert.Assert(t, try == 0 || time.Since(began) < 100*time.Millisecond, "at once")
		}
		b.dialling(accepting)
		b.kernel.Release(hold)
		until(t, func() bool { _, err := b.backend.Stage(t.Context(), volume("v", "")); return err == nil })
		assert.Assert(t, b.status()["problem"] == nil)
	})
}

// Shares of one server are mounted from one address, so that they have one connection; a server that lost it is still found.
func TestBestAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.kernel.SetAddresses("nas", netip.MustParseAddr("fd00::1"), netip.MustParseAddr("192.168.1.100"))
		var six, four atomic.Int64 // how long each address takes
		six.Store(int64(100 * time.Millisecond))
		b.dialling(func(ctx context.Context, address string) error {
			delay := &four
			if address == "[fd00::1]:445" {
				delay = &six
			}
			select {
			case <-time.After(time.Duration(delay.Load())):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		address := func(options ...string) string {
			_, err := b.backend.Stage(t.Context(), volume("v", "", options...))
			assert.NilError(t, err)
			mounts := b.kernel.Actions(mountertest.OpMountShare)
			return mounts[len(mounts)-1].Share.Options[0].Value
		}
		assert.Equal(t, address(), "fd00::1", "the resolver's first, a little later than the other")
		six.Store(int64(time.Second))
		assert.Equal(t, address("soft"), "192.168.1.100", "IPv6 does not work any more")
		six.Store(0)
		four.Store(int64(100 * time.Millisecond))
		assert.Equal(t, address("ro"), "192.168.1.100", "where it was mounted from last")
	})
}

// A resolver that does not answer costs its time, and has its own sentence.
func TestSilentResolver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		hold := b.kernel.Hold(mountertest.OpResolve, "")
		began := time.Now()
		_, err := b.backend.Stage(t.Context(), volume("v", ""))
		assert.ErrorContains(t, err, "no name server has told this host the address of nas within 5.5 s")
		assert.Equal(t, time.Since(began), 5500*time.Millisecond)
		b.kernel.Release(hold)
		synctest.Wait()
	})
}

// A share that somebody unmounted by hand is mounted again; while all is well the mount table is not read.
func TestMountTableIsReadWhenItMatters(t *testing.T) {
	b := newBench(t)
	staged, err := b.backend.Stage(t.Context(), volume("v", ""))
	assert.NilError(t, err)
	tables := func() int { return len(b.kernel.Actions(mountertest.OpTable)) }
	before := tables()
	for range 3 {
		_, err = b.backend.Stage(t.Context(), volume("w", ""))
		assert.NilError(t, err)
	}
	assert.Equal(t, tables(), before)
	assert.NilError(t, b.kernel.Unmount(t.Context(), staged.Base.Path))
	again, err := b.backend.Stage(t.Context(), volume("v", ""))
	assert.NilError(t, err)
	assert.Equal(t, again.Base, staged.Base)
	assert.Equal(t, b.mounts(), 2)
	assert.Assert(t, b.status()["note"] == nil)
}
