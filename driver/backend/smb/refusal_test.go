package smb_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// refusing has the server refuse every login until the returned function is called.
func (b *bench) refusing(number syscall.Errno) (end func()) {
	b.kernel.OnCall(func(action mountertest.Action) error {
		if action.Op == mountertest.OpMountShare {
			return number
		}
		return nil
	})
	return func() { b.kernel.OnCall(nil) }
}

// A wrong login is not made again and again, however many volumes ask how often: servers lock users and addresses out.
func TestWrongLoginsAreFew(t *testing.T) {
	b := newBench(t)
	b.refusing(syscall.EACCES)
	for range 300 { // five minutes, in which Swarm starts two tasks every second
		for _, asks := range []backend.Volume{volume("v", ""), volume("w", "films", "ro")} {
			_, err := b.backend.Stage(t.Context(), asks)
			assert.ErrorContains(t, err, "the server refused the user")
		}
		b.pass(time.Second)
	}
	assert.Equal(t, b.mounts(), 4)
	_, err := b.backend.Stage(t.Context(), volume("v", ""))
	assert.ErrorContains(t, err, "wrong")
	assert.Equal(t, b.mounts(), 5)
	_, err = b.backend.Stage(t.Context(), volume("v", ""))
	assert.ErrorContains(t, err, "so that it does not lock the user out; `docker homelab credentials test nas` asks at once")
}

// Servers count the wrong logins to all of their shares together.
func TestWrongLoginsAreFewForAllSharesOfAServer(t *testing.T) {
	b := newBench(t)
	var volumes []backend.Volume
	for _, share := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		one := volume(share, "")
		one.Location.Device = "//nas/" + share
		volumes = append(volumes, one)
	}
	end := b.refusing(syscall.EACCES)
	stage := func(one backend.Volume) error { _, err := b.backend.Stage(t.Context(), one); return err }
	for range 300 {
		for _, one := range volumes {
			assert.ErrorContains(t, stage(one), "the server")
		}
		b.pass(time.Second)
	}
	assert.Equal(t, b.mounts(), 5)
	assert.ErrorContains(t, stage(volumes[7]), `//nas/h: the server nas refused the user of the credentials "nas" for several shares, last at `)
	assert.ErrorContains(t, stage(volumes[7]), "the user or password is wrong. Repair them with `docker homelab credentials set nas --username USER`")
	assert.ErrorIs(t, b.backend.Test(t.Context(), volumes[0].Location), backend.ErrLogin)
	end()
	elsewhere := b.elsewhere()
	assert.NilError(t, stage(elsewhere), "another server")
	b.pass(5 * time.Minute)
	assert.NilError(t, stage(volumes[7]))
	for _, one := range volumes[3:] { // those that were refused have their own pause
		assert.NilError(t, stage(one))
	}
}

// A user who has no right on some shares is let in to the others.
func TestNoRightOnSomeShares(t *testing.T) {
	b := newBench(t)
	b.kernel.OnCall(func(action mountertest.Action) error {
		if action.Op == mountertest.OpMountShare && action.Share.Source != "//nas/music" {
			return syscall.EACCES
		}
		return nil
	})
	stage := func(share string) error {
		one := volume(share, "")
		one.Location.Device = "//nas/" + share
		_, err := b.backend.Stage(t.Context(), one)
		return err
	}
	for _, share := range []string{"a", "b", "c"} {
		assert.ErrorIs(t, stage(share), syscall.EACCES)
	}
	assert.ErrorContains(t, stage("music"), "for several shares")
	b.pass(81 * time.Second)
	assert.ErrorIs(t, stage("a"), syscall.EACCES)
	before := b.mounts()
	assert.NilError(t, stage("music"), "it goes first")
	assert.Equal(t, b.mounts(), before+1)
	for _, share := range []string{"d", "e"} {
		assert.ErrorContains(t, stage(share), "the server refused the user", "the login is right")
	}
}

// A repair is noticed: other credentials at once, the server's own after a pause, and at once after a test.
func TestLoginIsTriedAfterARepair(t *testing.T) {
	for name, repair := range map[string]func(t *testing.T, b *bench){
		"other password": func(t *testing.T, b *bench) {
			t.Helper()
			login := credential.Credentials{Username: "bob", Domain: "HOME", Password: mounter.NewSecret("another")}
			assert.NilError(t, b.store.Set(t.Context(), "nas", login))
		},
		"pause": func(_ *testing.T, b *bench) { b.pass(21 * time.Second) },
		"test": func(t *testing.T, b *bench) {
			t.Helper()
			assert.NilError(t, b.backend.Test(t.Context(), volume("v", "").Location))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			end := b.refusing(syscall.EKEYREJECTED)
			_, err := b.backend.Stage(t.Context(), volume("v", ""))
			assert.ErrorContains(t, err, "the server refused")
			end()
			_, err = b.backend.Stage(t.Context(), volume("v", ""))
			assert.ErrorContains(t, err, "is asked again after")
			repair(t, b)
			_, err = b.backend.Stage(t.Context(), volume("v", ""))
			assert.NilError(t, err)
		})
	}
}

// What is not about the login is asked again at once, as is a share without login, and another share of the server.
func TestOtherRefusalsAreNotSpared(t *testing.T) {
	guest, other := volume("v", "", "sec=none"), volume("v", "")
	guest.Location.Credentials = ""
	other.Location.Device = "//nas/music"
	for _, c := range []struct {
		number        syscall.Errno
		first, second backend.Volume
	}{
		{syscall.ENOENT, volume("v", ""), volume("v", "")},
		{syscall.EPERM, volume("v", ""), volume("v", "")},
		{syscall.EACCES, guest, guest},
		{syscall.EACCES, volume("v", ""), other},
	} {
		b := newBench(t)
		end := b.refusing(c.number)
		_, err := b.backend.Stage(t.Context(), c.first)
		assert.Assert(t, err != nil)
		end()
		_, err = b.backend.Stage(t.Context(), c.second)
		assert.NilError(t, err)
	}
}

// A Create that is refused says nothing of a command that would not know its credentials.
func TestRefusedAgainAtCreate(t *testing.T) {
	b := newBench(t)
	b.refusing(syscall.EACCES)
	inline := volume("v", "")
	inline.Location.Credentials = credential.ForVolume(inline.ID)
	login := credential.Credentials{Username: "bob", Password: mounter.NewSecret("wrong")}
	assert.NilError(t, b.store.Set(t.Context(), inline.Location.Credentials, login))
	var err error
	for range 2 {
		_, err = b.backend.Create(t.Context(), inline, false)
	}
	assert.ErrorContains(t, err, "Correct user and password in the volume's options")
	assert.Assert(t, strings.HasSuffix(err.Error(), "so that it does not lock the user out"), err)
}

// A mount that nothing uses and whose login is refused by now does not linger: the kernel would log in again and again. That it is
// refused stays a problem, and a volume that asks is let in when the server lets it.
func TestRefusedMountDoesNotLinger(t *testing.T) {
	b := newBench(t)
	staged, err := b.backend.Stage(t.Context(), volume("v", ""))
	assert.NilError(t, err)
	target := b.bindTo(t, "v", staged)
	b.kernel.OnCall(func(action mountertest.Action) error {
		switch {
		case action.Op == mountertest.OpMountShare:
			return syscall.EACCES
		case action.Op == mountertest.OpDo && strings.HasPrefix(action.Target, "share "):
			return syscall.ESTALE // the session is gone
		}
		return nil
	})
	swept := func() bool {
		b.pass(longest)
		b.checked(t)
		b.backend.Sweep(t.Context())
		_, err := os.Stat(staged.Base.Path)
		return err != nil
	}
	for range 4 {
		assert.Assert(t, !swept(), "it is used")
	}
	assert.NilError(t, b.kernel.Unmount(t.Context(), target))
	b.pass(time.Second)
	_, err = b.backend.Stage(t.Context(), volume("v", ""))
	assert.ErrorContains(t, err, "the server refused")
	b.backend.Sweep(t.Context())
	_, err = os.Stat(staged.Base.Path)
	assert.NilError(t, err, "somebody asks just now")
	assert.Assert(t, swept())
	assert.Assert(t, strings.Contains(b.status()["problem"].(string), "the server refused"))
	_, err = os.Stat(filepath.Join(b.memory, b.key(volume("v", ""))+".json"))
	assert.NilError(t, err, "it is tried once after the next boot")
	b.kernel.OnCall(nil)
	b.pass(10 * time.Minute)
	_, err = b.backend.Stage(t.Context(), volume("v", ""))
	assert.NilError(t, err)
	assert.Assert(t, b.status()["problem"] == nil)
}
