package smb_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// bindTo binds a volume as the driver does.
func (b *bench) bindTo(t *testing.T, name string, staged backend.Staged) string {
	t.Helper()
	target := filepath.Join(b.kernel.Temp(), "volumes", name)
	assert.NilError(t, b.kernel.Bind(t.Context(), mounter.Bind{Base: staged.Base, Subdir: staged.Subdir, Target: target}))
	return target
}

// A share whose server made it anew has a new mount for whoever comes; who has the old one keeps it until he ends.
func TestStaleShareIsReplaced(t *testing.T) {
	b := newBench(t)
	first, err := b.backend.Stage(t.Context(), volume("v", ""))
	assert.NilError(t, err)
	target := b.bindTo(t, "v", first)
	b.kernel.Fail(mountertest.OpDo, 2, syscall.ESTALE) // the first one reads the credentials
	second, err := b.backend.Stage(t.Context(), volume("v", ""))
	assert.NilError(t, err)
	assert.Equal(t, second.Base.Path, first.Base.Path+".2")
	assert.Assert(t, second.Replaces)
	options := b.kernel.Actions(mountertest.OpMountShare)[1].Share.Options
	assert.Equal(t, options[len(options)-1].Name, "nosharesock", "the old connection would bring the old mount back")
	assert.Assert(t, strings.Contains(b.status()["note"].(string), "containers that were started before use the old one"))
	third, err := b.restart(b.store).Stage(t.Context(), volume("v", ""))
	assert.NilError(t, err)
	assert.Equal(t, third.Base, second.Base, "the mount table tells which one is in use")
	b.pass(2 * time.Minute)
	b.backend.Sweep(t.Context())
	_, err = os.Stat(first.Base.Path)
	assert.NilError(t, err, "a volume is bound to it")
	assert.NilError(t, b.kernel.Unmount(t.Context(), target))
	b.bindTo(t, "v", second)
	b.backend.Sweep(t.Context())
	_, err = os.Stat(first.Base.Path)
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.Assert(t, b.status()["note"] == nil, "nobody has the old one any more")
	_, err = b.backend.Stage(t.Context(), volume("v", ""))
	assert.NilError(t, err)
	assert.Equal(t, b.mounts(), 2)
}

// A share that stays stale is mounted anew once in a while, and not at every Mount.
func TestStaleForGood(t *testing.T) {
	b := newBench(t)
	_, err := b.backend.Stage(t.Context(), volume("v", ""))
	assert.NilError(t, err)
	b.kernel.OnCall(func(action mountertest.Action) error {
		if action.Op == mountertest.OpDo && strings.HasPrefix(action.Target, "share ") {
			return syscall.ESTALE
		}
		return nil
	})
	for range 5 {
		_, err = b.backend.Stage(t.Context(), volume("v", ""))
		assert.ErrorContains(t, err, "does not know the share torrents any more")
	}
	assert.Equal(t, b.mounts(), 2)
	b.pass(2 * time.Minute)
	_, err = b.backend.Stage(t.Context(), volume("v", ""))
	assert.Assert(t, err != nil)
	assert.Equal(t, b.mounts(), 3)
}

// A NAS that moved: the old mount hangs, its address is silent, the name has a new one. The next Mount goes there.
func TestMovedServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, upcall := range []bool{false, true} {
			b := newBench(t)
			if upcall {
				for _, program := range []string{"/sbin/request-key", "/sbin/key.dns_resolver"} {
					assert.NilError(t, os.MkdirAll(filepath.Dir(b.kernel.HostPath(program)), 0o755))
					assert.NilError(t, os.WriteFile(b.kernel.HostPath(program), nil, 0o755))
				}
			}
			first, err := b.backend.Stage(t.Context(), volume("v", ""))
			assert.NilError(t, err)
			hold := b.kernel.Hold(mountertest.OpDo, "share "+first.Base.Path)
			b.kernel.SetAddresses("nas", netip.MustParseAddr("192.168.1.200"))
			b.dialling(func(_ context.Context, address string) error {
				if strings.HasPrefix(address, "192.168.1.100:") {
					return syscall.EHOSTUNREACH
				}
				return nil
			})
			began := time.Now()
			second, err := b.backend.Stage(t.Context(), volume("v", ""))
			assert.NilError(t, err)
			assert.Assert(t, time.Since(began) < 4*time.Second)
			assert.Assert(t, second.Base != first.Base)
			note := b.status()["note"].(string)
			assert.Assert(t, strings.Contains(note, "the server nas has moved from 192.168.1.100 to 192.168.1.200: new containers use the new address"))
			assert.Equal(t, strings.Contains(note, "apt install keyutils"), !upcall)
			assert.Equal(t, strings.Contains(note, "go on when the kernel has looked the name up again"), upcall)
			began = time.Now()
			_, err = b.backend.Stage(t.Context(), volume("v", ""))
			assert.NilError(t, err)
			assert.Assert(t, time.Since(began) < time.Second)
			b.kernel.Release(hold)
		}
	})
}

// A Mount that comes while the background finds out that the NAS moved gets the new mount too.
func TestMovedServerIsFoundByBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		first, err := b.backend.Stage(t.Context(), volume("v", ""))
		assert.NilError(t, err)
		hold := b.kernel.Hold(mountertest.OpDo, "share "+first.Base.Path)
		b.kernel.SetAddresses("nas", netip.MustParseAddr("192.168.1.200"))
		b.dialling(func(_ context.Context, address string) error {
			if strings.HasPrefix(address, "192.168.1.100:") {
				return syscall.EHOSTUNREACH
			}
			return nil
		})
		b.pass(longest)
		b.backend.Check(t.Context())
		assert.NilError(t, hold.Reached(t.Context()))
		<-time.After(500 * time.Millisecond)
		second, err := b.backend.Stage(t.Context(), volume("v", ""))
		assert.NilError(t, err)
		assert.Equal(t, second.Base.Path, first.Base.Path+".2")
		b.backend.Checked()
		assert.Equal(t, b.mounts(), 2)
		b.kernel.Release(hold)
	})
}

// A mount that hangs although its server is there is given time to come back by itself, and then replaced by the background.
func TestHangsForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		first, err := b.backend.Stage(t.Context(), volume("v", ""))
		assert.NilError(t, err)
		hold := b.kernel.Hold(mountertest.OpDo, "share "+first.Base.Path)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err = b.backend.Stage(ctx, volume("v", ""))
		assert.ErrorContains(t, err, "has not answered since")
		for range 100 {
			b.pass(time.Second)
			b.checked(t)
		}
		assert.Equal(t, b.mounts(), 1)
		assert.Assert(t, b.status()["problem"] != nil)
		for range 60 {
			b.pass(time.Second)
			b.checked(t)
		}
		assert.Equal(t, b.mounts(), 2)
		second, err := b.backend.Stage(t.Context(), volume("v", ""))
		assert.NilError(t, err)
		assert.Equal(t, second.Base.Path, first.Base.Path+".2")
		b.kernel.Release(hold)
	})
}

// A share lingers when its volume is removed, with the login that its options gave. When it becomes stale then, it is nobody's problem: it
// cannot be mounted anew and need not be, and it is unmounted like any other.
func TestStaleAfterItsVolume(t *testing.T) {
	b := newBench(t)
	gone := volume("v", "")
	gone.Location.Credentials = "volume-0123456789abcdef0123456789abcdef"
	assert.NilError(t, b.store.Set(t.Context(), gone.Location.Credentials, credential.Credentials{Username: "bob", Password: mounter.NewSecret("x")}))
	staged, err := b.backend.Stage(t.Context(), gone)
	assert.NilError(t, err)
	assert.NilError(t, b.store.Remove(t.Context(), gone.Location.Credentials))
	b.pass(time.Minute)
	looks := 0
	b.kernel.OnCall(func(action mountertest.Action) error {
		if action.Op == mountertest.OpDo && action.Target == "share "+staged.Base.Path {
			looks++
			return syscall.ESTALE
		}
		return nil
	})
	b.checked(t)
	assert.Equal(t, looks, 1)
	assert.Assert(t, b.backend.Status(gone)["problem"] == nil)
	b.pass(time.Hour)
	b.checked(t)
	assert.Equal(t, looks, 1, "the background looks again, at what it cannot mend")
	b.backend.Sweep(t.Context())
	assert.Equal(t, len(b.backend.Report()), 0)
	assert.Equal(t, b.mounts(), 1)
}
