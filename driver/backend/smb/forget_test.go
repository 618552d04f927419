package smb_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// afterTable is a kernel with which something happens once, after the mount table was read.
type afterTable struct {
	*mountertest.Kernel

	work atomic.Pointer[func()]
}

func (a *afterTable) Table(ctx context.Context, side mounter.Side) ([]mounter.Mount, error) {
	table, err := a.Kernel.Table(ctx, side)
	if work := a.work.Swap(nil); work != nil {
		(*work)()
	}
	return table, err
}

// The background, which found a share unmounted by hand, does not forget it when somebody has mounted it again meanwhile.
func TestMountedAgainBeforeItIsForgotten(t *testing.T) {
	b := newBench(t)
	between := &afterTable{Kernel: b.kernel}
	b.mounter = between
	b.backend = b.restart(b.store)
	staged, err := b.backend.Stage(t.Context(), volume("v", ""))
	assert.NilError(t, err)
	assert.NilError(t, b.kernel.Unmount(t.Context(), staged.Base.Path))
	b.pass(longest)
	again := func() {
		b.pass(time.Second)
		_, err := b.backend.Stage(t.Context(), volume("v", ""))
		assert.Check(t, err)
	}
	between.work.Store(&again)
	b.checked(t)
	assert.Equal(t, b.mounts(), 2)
	assert.Equal(t, len(b.backend.Report()), 1)
	_, err = os.Stat(filepath.Join(b.memory, b.key(volume("v", ""))+".json"))
	assert.NilError(t, err, "it is mounted after the next boot")
}

// A share that was refused is a problem as long as somebody wants it: until its volume is removed, or for a day.
func TestRefusedIsNotAProblemForEver(t *testing.T) {
	b := newBench(t)
	refused := func() {
		b.kernel.Fail(mountertest.OpMountShare, 1, syscall.EACCES)
		_, err := b.backend.Stage(t.Context(), volume("v", ""))
		assert.ErrorContains(t, err, "the server refused")
		assert.Equal(t, len(b.backend.Report()), 1)
	}
	refused()
	assert.NilError(t, b.backend.Remove(t.Context(), volume("v", "")))
	assert.Equal(t, len(b.backend.Report()), 0)
	b.pass(time.Minute)
	refused()
	b.pass(23 * time.Hour)
	b.checked(t)
	assert.Equal(t, len(b.backend.Report()), 1)
	b.pass(2 * time.Hour)
	b.checked(t)
	assert.Equal(t, len(b.backend.Report()), 0)
	assert.Equal(t, b.mounts(), 2, "nobody asked the server again")

	_, err := b.backend.Stage(t.Context(), volume("v", ""))
	assert.NilError(t, err)
	assert.NilError(t, b.backend.Remove(t.Context(), volume("other", "")))
	assert.Equal(t, len(b.backend.Report()), 1, "one that is mounted is looked after")
}

// What waits for another share of its server was not tried.
func TestBackOffCountsTries(t *testing.T) {
	b := newBench(t)
	b.dialling(refusing)
	for _, option := range []string{"ro", "soft"} {
		_, err := b.backend.Stage(t.Context(), volume("v", "", option))
		assert.Assert(t, err != nil)
	}
	answers := make(chan struct{})
	b.dialling(func(context.Context, string) error { <-answers; return syscall.ECONNREFUSED })
	for range 10 {
		b.pass(3 * time.Second)
		b.backend.Check(t.Context())
	}
	close(answers)
	b.backend.Checked()
	for _, report := range b.backend.Report() {
		var times [2]time.Time
		for i, name := range []string{"checked", "next_check"} {
			at, err := time.Parse(time.RFC3339, report[name].(string))
			assert.NilError(t, err)
			times[i] = at
		}
		assert.Assert(t, times[1].Sub(times[0]) <= 5*time.Second, "%v", report)
	}
}

// A directory that a look made is the volume's own, also when that look was given up for a new mount.
func TestDirectoryOfALateLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		first, err := b.backend.Stage(t.Context(), volume("v", ""))
		assert.NilError(t, err)
		key := "share " + first.Base.Path
		hold := b.kernel.Hold(mountertest.OpDo, key)
		b.kernel.SetAddresses("nas", netip.MustParseAddr("192.168.1.200"))
		b.dialling(func(_ context.Context, address string) error {
			if strings.HasPrefix(address, "192.168.1.100:") {
				return syscall.EHOSTUNREACH
			}
			return nil
		})
		b.kernel.OnCall(func(action mountertest.Action) error {
			if action.Op == mountertest.OpDo && action.Target == key+".2" {
				b.kernel.Release(hold)
				for b.kernel.Do(t.Context(), key, func() error { return nil }) != nil { // the late look is at work
					<-time.After(time.Millisecond)
				}
			}
			return nil
		})
		location, err := b.backend.Create(t.Context(), volume("w", "films"), false)
		assert.NilError(t, err)
		assert.Assert(t, !location.Adopted)
	})
}

// Two tests of one share take turns: each mounts at the same place.
func TestLoginsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		hold := b.kernel.Hold(mountertest.OpResolve, "")
		results := make(chan error, 2)
		for range 2 {
			go func() { results <- b.backend.Test(t.Context(), volume("v", "").Location) }()
		}
		synctest.Wait()
		assert.Equal(t, len(b.kernel.Actions(mountertest.OpUnmount)), 1)
		b.kernel.Release(hold)
		assert.NilError(t, <-results)
		assert.NilError(t, <-results)
	})
}

// A volume that could not be created leaves no share behind, also when the kernel says so after the caller had gone.
func TestFailedCreateIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		end := b.refusing(syscall.EHOSTDOWN)
		hold := b.kernel.Hold(mountertest.OpMountShare, "")
		create := func(limit time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			_, err := b.backend.Create(ctx, volume("v", ""), false)
			assert.ErrorContains(t, err, "has not answered since")
		}
		create(time.Second)
		create(time.Second)
		b.kernel.Release(hold)
		synctest.Wait()
		assert.Equal(t, len(b.backend.Report()), 0)

		hold = b.kernel.Hold(mountertest.OpMountShare, "")
		waits := make(chan error, 1)
		go func() {
			_, err := b.backend.Stage(t.Context(), volume("w", ""))
			waits <- err
		}()
		create(time.Second)
		b.kernel.Release(hold)
		assert.ErrorContains(t, <-waits, "said nothing")
		assert.Equal(t, len(b.backend.Report()), 1, "a volume wants it")
		end()
		b.pass(longest)
		b.checked(t)
		assert.Assert(t, b.status()["problem"] == nil)
		assert.Equal(t, b.mounts(), 3)
	})
}

// What is wrong with a volume's own login later is not said as to somebody who is creating it.
func TestVolumeIsNotBeingCreatedForEver(t *testing.T) {
	b := newBench(t)
	inline := volume("v", "")
	inline.Location.Credentials = credential.ForVolume(inline.ID)
	login := credential.Credentials{Username: "bob", Password: mounter.NewSecret("right")}
	assert.NilError(t, b.store.Set(t.Context(), inline.Location.Credentials, login))
	_, err := b.backend.Create(t.Context(), inline, false)
	assert.NilError(t, err)
	b.kernel.OnCall(func(action mountertest.Action) error {
		if action.Op == mountertest.OpMountShare || action.Op == mountertest.OpDo && strings.HasPrefix(action.Target, "share ") {
			return syscall.EACCES
		}
		return nil
	})
	b.pass(longest)
	b.checked(t)
	problem, _ := b.backend.Status(inline)["problem"].(string)
	assert.Assert(t, strings.Contains(problem, "docker homelab credentials rotate "+inline.Location.Credentials), problem)
}
