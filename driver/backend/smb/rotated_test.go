package smb_test

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// passwords are those that break drivers which build a text for mount(2) (FACTS 6), and the longest.
func passwords() []string {
	return []string{
		"plain", ",", ",,", "a,b", ",a,", "trailing,", `"quoted"`, `it's`, "100% sure", "%", "$HOME", "${HOME}", `back\slash\`, `\,`, " blanks inside and around ",
		"#hash", "=", "a=b,c=d", "password=x,vers=1.0", "tab\tinside", "日本語 ñ é", "🔑", "~!@#$%^&*()_+-={}|[]:;<>?/.`", strings.Repeat("x", 128), strings.Repeat("é", 64),
	}
}

// Every password arrives at the kernel as it was written: in o= with its commas doubled, as an option, and by name.
func TestEveryPasswordArrives(t *testing.T) {
	b := newBench(t)
	store := credential.NewStore(b.kernel, "/var/lib/homelab-storage/credentials")
	for _, password := range passwords() {
		secret := mounter.NewSecret(password)
		inText, err := b.backend.Plan(t.Context(), device("//nas/torrents", "vers=3.0,username=bob,password="+strings.ReplaceAll(password, ",", ",,")+",uid=7"))
		if strings.HasPrefix(password, `"`) {
			assert.Assert(t, strings.Contains(strings.Join(inText.Warnings, "\n"), "written in quotes"))
		}
		assert.NilError(t, err, "%q", password)
		assert.Equal(t, inText.Password.Reveal(), password)
		assert.Equal(t, inText.Location.UID, uint32(7))
		asOption, err := b.backend.Plan(t.Context(), ask(func(r *backend.Request) { r.Device, r.Username, r.Password = "//nas/torrents", "bob", secret }))
		assert.NilError(t, err, "%q", password)
		assert.Equal(t, asOption.Password.Reveal(), password)

		assert.NilError(t, store.Set(t.Context(), "nas", credential.Credentials{Username: "bob", Password: secret}))
		before := b.mounts()
		_, err = b.backend.Stage(t.Context(), volume("v", ""))
		assert.NilError(t, err)
		assert.Equal(t, b.mounts(), before+1)
		assert.Equal(t, b.last().Password.Reveal(), password)
	}
	for _, bad := range []string{strings.Repeat("x", 129), "line\nend", "nul\x00byte", "not \xff UTF-8"} {
		login := credential.Credentials{Username: "bob", Password: mounter.NewSecret(bad)}
		err := store.Set(t.Context(), "nas", login)
		assert.ErrorContains(t, err, "the password")
		assert.Assert(t, !strings.Contains(err.Error(), bad))
		_, err = b.backend.Plan(t.Context(), ask(func(r *backend.Request) { r.Device, r.Username, r.Password = "//nas/torrents", "bob", login.Password }))
		assert.ErrorContains(t, err, "the password")
	}
	_, err := b.backend.Plan(t.Context(), device("//nas/torrents", "username=bob,password="+strings.Repeat("x", 129)))
	assert.ErrorContains(t, err, "o: option password has 129 bytes; the kernel takes at most 128")
}

// last is the last mount that was asked for.
func (b *bench) last() *mounter.Share {
	actions := b.kernel.Actions(mountertest.OpMountShare)
	return actions[len(actions)-1].Share
}

// New credentials are for new mounts: who has the old one keeps it, and the background does nothing for nobody.
func TestRotation(t *testing.T) {
	b := newBench(t)
	store := credential.NewStore(b.kernel, "/var/lib/homelab-storage/credentials")
	rotate := func(name, user, password string) {
		assert.NilError(t, store.Set(t.Context(), name, credential.Credentials{Username: user, Password: mounter.NewSecret(password)}))
	}
	stage := func() string {
		staged, err := b.backend.Stage(t.Context(), volume("v", ""))
		assert.NilError(t, err)
		return staged.Base.Path
	}
	first := stage()
	rotate("nas", "bob", "new")
	rotate("tv", "bob", "new") // nobody's business here
	b.pass(time.Minute)
	b.backend.Check(t.Context())
	second := stage()
	assert.Equal(t, second, first+".2")
	assert.Equal(t, b.last().Password.Reveal(), "new")
	assert.Equal(t, b.last().Options[len(b.last().Options)-1].Name, "nosharesock")
	assert.Equal(t, stage(), second)
	assert.Equal(t, b.mounts(), 2)
	note, _ := b.backend.Status(volume("v", ""))["note"].(string)
	assert.Assert(t, strings.Contains(note, `the credentials "nas" were changed: new containers log in with the new ones`), note)
	rotate("nas", "alice", "new")
	assert.Equal(t, stage(), first+".3", "another user is another login, a moment later too")
	assert.Equal(t, b.last().User, "alice")

	assert.NilError(t, store.Remove(t.Context(), "nas"))
	assert.Equal(t, stage(), first+".3", "what is mounted works without the file")
	assert.Equal(t, b.mounts(), 3)
	rotate("nas", "alice", "wrong")
	b.kernel.Fail(mountertest.OpMountShare, 1, syscall.EACCES)
	_, err := b.backend.Stage(t.Context(), volume("v", ""))
	assert.ErrorContains(t, err, "the user or password is wrong")
}

// The background looks at a mount while its credentials are rotated, and remembers that it is well when there is a newer one. Who comes after
// the next rotation logs in with what is stored then all the same.
func TestRotationDuringALook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		store := credential.NewStore(b.kernel, "/var/lib/homelab-storage/credentials")
		stage := func() string {
			staged, err := b.backend.Stage(t.Context(), volume("v", ""))
			assert.NilError(t, err)
			return staged.Base.Path
		}
		first := stage()
		b.pass(time.Minute)
		hold := b.kernel.Hold(mountertest.OpDo, "share "+first)
		b.backend.Check(t.Context())
		assert.NilError(t, hold.Reached(t.Context()))
		for i, user := range []string{"bob", "alice"} {
			assert.NilError(t, store.Set(t.Context(), "nas", credential.Credentials{Username: user, Password: mounter.NewSecret("new")}))
			assert.Equal(t, stage(), fmt.Sprintf("%s.%d", first, i+2))
			assert.Equal(t, b.last().User, user)
			b.kernel.Release(hold)
			synctest.Wait()
		}
	})
}

// A try logs in anew, beside what is mounted, and leaves nothing.
func TestLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		location := volume("v", "").Location
		staged, err := b.backend.Stage(t.Context(), volume("v", ""))
		assert.NilError(t, err)
		assert.NilError(t, b.backend.Test(t.Context(), location))
		assert.Equal(t, b.mounts(), 2)
		assert.Assert(t, b.last().Target != staged.Base.Path && path.Dir(path.Dir(b.last().Target)) == b.root)
		assert.Equal(t, b.last().Options[len(b.last().Options)-1].Name, "nosharesock")
		left := func() (targets []string) {
			table, err := b.kernel.Table(t.Context(), mounter.Plugin)
			assert.NilError(t, err)
			for _, line := range table {
				if line.FSType == "cifs" {
					targets = append(targets, line.Target)
				}
			}
			return targets
		}
		assert.DeepEqual(t, left(), []string{staged.Base.Path})

		b.kernel.Fail(mountertest.OpMountShare, 1, syscall.EACCES)
		assert.ErrorContains(t, b.backend.Test(t.Context(), location), `the server refused the user of the credentials "nas"`)
		b.kernel.Fail(mountertest.OpUnmount, 2, syscall.EBUSY)
		assert.ErrorContains(t, b.backend.Test(t.Context(), location), "the login works, but its mount could not be taken away")
		assert.NilError(t, b.backend.Test(t.Context(), location), "the next try clears that away")
		assert.DeepEqual(t, left(), []string{staged.Base.Path})
		b.kernel.Fail(mountertest.OpUnmount, 2, syscall.EBUSY)
		assert.ErrorContains(t, b.backend.Test(t.Context(), location), "the login works, but its mount could not be taken away")
		b.backend.Sweep(t.Context()) // so does the sweep, as after a kill
		assert.DeepEqual(t, left(), []string{staged.Base.Path})

		hold := b.kernel.Hold(mountertest.OpMountShare, "")
		limited, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err = b.backend.Test(limited, location)
		assert.Assert(t, errors.Is(err, backend.ErrUnavailable), "%v", err)
		_, err = b.backend.Stage(t.Context(), volume("v", ""))
		assert.NilError(t, err, "what is mounted does not wait")
		b.kernel.Release(hold)
		poll.WaitOn(t, func(poll.LogT) poll.Result {
			if len(b.kernel.Actions(mountertest.OpUndo)) == 0 {
				return poll.Continue("the mount that came late is still there")
			}
			return poll.Success()
		}, poll.WithDelay(time.Millisecond))
		location.Credentials = "none"
		assert.ErrorIs(t, b.backend.Test(t.Context(), location), credential.ErrNotFound)
	})
}
