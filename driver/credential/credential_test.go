package credential_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

const folder = "/var/lib/homelab-storage/credentials"

func TestParse(t *testing.T) {
	for text, want := range map[string]credential.Credentials{
		"username=bob\npassword=x\n":                      {Username: "bob", Password: mounter.NewSecret("x")},
		"# a comment\n\n user=bob\r\npass= a b#, '\"\r\n": {Username: "bob", Password: mounter.NewSecret(` a b#, '"`)},
		"\uFEFFusername=HOME\\bob\npassword=a=b%c$d\\":    {Username: "bob", Domain: "HOME", Password: mounter.NewSecret(`a=b%c$d\`)},
		"Username = bob \nPassword=ü\nworkgroup=W":        {Username: "bob", Domain: "W", Password: mounter.NewSecret("ü")},
		"username=HOME/bob\npassword=x":                   {Username: "bob", Domain: "HOME", Password: mounter.NewSecret("x")},
		"username=HOME\\\\bob\npassword=x":                {Username: "bob", Domain: "HOME", Password: mounter.NewSecret("x")},
		"domain=HOME\nusername=HOME\\bob\npassword=x":     {Username: "bob", Domain: "HOME", Password: mounter.NewSecret("x")},
		"username=bob\npassword= x":                       {Username: "bob", Password: mounter.NewSecret(" x")},
	} {
		got, err := credential.Parse(strings.NewReader(text))
		assert.NilError(t, err)
		assert.DeepEqual(t, got, want)
	}
	for text, want := range map[string]string{
		"username=bob\ncanary":                      `line 2: has no "="`,
		"canary=1":                                  "line 1: does not begin with",
		"username = bob\npassword = canary":         `line 2: has blanks around the "="`,
		"username=bob":                              "the password is empty",
		"password=canary":                           "the username is empty",
		"username=b\npassword=canary\xff":           "line 2: is not UTF-8",
		"username=b\npassword=canary\x00":           "NUL byte",
		"username=b\npassword=" + canary(129):       "the password has 129 bytes; the kernel takes at most 128",
		"password=x\nusername=" + canary(256):       "the username has 256 bytes; the kernel takes at most 255",
		"username=b\npassword=x\n#" + canary(20000): "more than 16384 bytes", // it may be cut in the middle of a password
	} {
		_, err := credential.Parse(strings.NewReader(text))
		assert.ErrorContains(t, err, want)
		assert.Assert(t, !strings.Contains(err.Error(), "canary"), "%v", err)
	}
}

func canary(length int) string { return strings.Repeat("canary", length)[:length] }

func newStore(t *testing.T) (*credential.Store, *mountertest.Kernel) {
	t.Helper()
	kernel := mountertest.New(t)
	return credential.NewStore(kernel, folder), kernel
}

func TestStoreKeepsEveryPassword(t *testing.T) {
	store, kernel := newStore(t)
	for _, password := range []string{"x", ",", `"'`, "%s%d", "$HOME ${X}", `\`, " a b ", "#", "=", "ü…日本", strings.Repeat("p", 128)} {
		want := credential.Credentials{Username: "bob", Domain: "HOME", Password: mounter.NewSecret(password)}
		assert.NilError(t, store.Set(t.Context(), "nas", want))
		got, err := store.Get(t.Context(), "nas")
		assert.NilError(t, err)
		assert.DeepEqual(t, got, want)
		assert.Equal(t, got.Password.Reveal(), password)
	}
	info, err := os.Stat(filepath.Join(kernel.HostPath(folder), "nas"))
	assert.NilError(t, err)
	assert.Equal(t, info.Mode(), fs.FileMode(0o600))
	assert.NilError(t, store.Remove(t.Context(), "nas"))
	assert.ErrorIs(t, store.Remove(t.Context(), "nas"), credential.ErrNotFound)
	_, err = store.Get(t.Context(), "nas")
	assert.ErrorIs(t, err, credential.ErrNotFound)
	assert.ErrorContains(t, err, folder+"/nas")
}

func TestNamesAndValuesAreChecked(t *testing.T) {
	store, _ := newStore(t)
	good := credential.Credentials{Username: "bob", Password: mounter.NewSecret("x")}
	for _, name := range []string{"", ".pool", "../x", "a/b", "a b", strings.Repeat("x", 129)} {
		assert.ErrorContains(t, store.Set(t.Context(), name, good), "name of credentials")
		_, err := store.Get(t.Context(), name)
		assert.ErrorContains(t, err, "name of credentials")
	}
	err := store.Set(t.Context(), "nas", credential.Credentials{Username: " ", Password: mounter.NewSecret("canary\n")})
	assert.ErrorContains(t, err, "line end")
	assert.ErrorContains(t, err, "username is empty")
	assert.Assert(t, !strings.Contains(err.Error(), "canary"))
}

func TestUnsafeFileIsRefused(t *testing.T) {
	store, kernel := newStore(t)
	path := filepath.Join(kernel.HostPath(folder), "nas")
	assert.NilError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	assert.NilError(t, os.WriteFile(path, []byte("username=bob\npassword=x\n"), 0o640))
	_, err := store.Get(t.Context(), "nas")
	assert.ErrorContains(t, err, "has mode 0640")
	assert.ErrorContains(t, err, "chmod 600 "+folder+"/nas")
	assert.NilError(t, os.Chmod(path, 0o600))
	_, err = store.Get(t.Context(), "nas")
	assert.NilError(t, err)
	if os.Geteuid() == 0 {
		assert.NilError(t, os.Chown(path, 1000, 1000))
		_, err = store.Get(t.Context(), "nas")
		assert.ErrorContains(t, err, "belongs to user 1000")
	}
	assert.NilError(t, os.Remove(path))
	assert.NilError(t, os.Mkdir(path, 0o700))
	_, err = store.Get(t.Context(), "nas")
	assert.ErrorContains(t, err, "not a regular file")
}

func TestPoolCredentialsAreCopied(t *testing.T) {
	store, _ := newStore(t)
	pool := filepath.Join(t.TempDir(), "credentials")
	one := credential.Credentials{Username: "one", Password: mounter.NewSecret("1")}
	two := credential.Credentials{Username: "two", Password: mounter.NewSecret("2")}
	assert.NilError(t, store.Mirror(t.Context(), pool), "no folder")
	assert.NilError(t, store.SetAll(t.Context(), pool, "nas", one))
	assert.NilError(t, store.SetAll(t.Context(), pool, "other", two))
	got, err := store.Get(t.Context(), "nas")
	assert.NilError(t, err)
	assert.DeepEqual(t, got, one)
	assert.NilError(t, store.Set(t.Context(), "nas", two))
	got, err = store.Get(t.Context(), "nas")
	assert.NilError(t, err)
	assert.DeepEqual(t, got, two) // the node's own file wins
	list, err := store.List(t.Context())
	assert.NilError(t, err)
	assert.DeepEqual(t, list, []credential.Entry{{Name: "nas", Username: "two"}, {Name: "other", Username: "two", Pool: true}})

	assert.NilError(t, os.Chmod(filepath.Join(pool, "other"), 0o644))
	assert.ErrorContains(t, store.Mirror(t.Context(), pool), "chmod 600 credentials/other of the pool")
	_, err = store.Get(t.Context(), "other")
	assert.NilError(t, err, "the old copy stays")
	assert.NilError(t, store.SetAll(t.Context(), pool, "nas", two), "the other's file is nobody's business here")
	assert.NilError(t, store.RemoveAll(t.Context(), pool, "nas"))
	assert.NilError(t, store.RemoveAll(t.Context(), pool, "other"))
	_, err = store.Get(t.Context(), "other")
	assert.ErrorIs(t, err, credential.ErrNotFound)
	err = store.RemoveAll(t.Context(), pool, "othr")
	assert.ErrorIs(t, err, credential.ErrNotFound)
	assert.ErrorContains(t, err, `"othr" for all nodes`)
	assert.ErrorIs(t, store.Remove(t.Context(), "othr"), credential.ErrNotFound)
}

// What a write that was cut off left on the pool may hold a password. It goes when it is old: another node may be writing.
func TestLeavingsOnThePoolAreSwept(t *testing.T) {
	store, _ := newStore(t)
	pool := filepath.Join(t.TempDir(), "credentials")
	assert.NilError(t, os.Mkdir(pool, 0o700))
	old, young := filepath.Join(pool, ".tmp-old"), filepath.Join(pool, ".tmp-young")
	for _, leaving := range []string{old, young} {
		assert.NilError(t, os.WriteFile(leaving, []byte("username=one\npassword=canary\n"), 0o600))
	}
	before := time.Now().Add(-2 * time.Hour)
	assert.NilError(t, os.Chtimes(old, before, before))
	one := credential.Credentials{Username: "one", Password: mounter.NewSecret("1")}
	assert.NilError(t, store.SetAll(t.Context(), pool, "nas", one))
	_, err := os.Stat(old)
	assert.ErrorIs(t, err, fs.ErrNotExist)
	_, err = os.Stat(young)
	assert.NilError(t, err)
}

// A pool that was unmounted since it was proven is not replaced by a folder of the disk below it, and its copies stay.
func TestPoolIsGone(t *testing.T) {
	store, _ := newStore(t)
	pool := filepath.Join(t.TempDir(), "private", "credentials")
	assert.NilError(t, os.Mkdir(filepath.Dir(pool), 0o700))
	one := credential.Credentials{Username: "one", Password: mounter.NewSecret("1")}
	assert.NilError(t, store.SetAll(t.Context(), pool, "nas", one))
	assert.NilError(t, os.RemoveAll(filepath.Dir(pool)))
	assert.ErrorIs(t, store.Mirror(t.Context(), pool), fs.ErrNotExist)
	assert.ErrorIs(t, store.SetAll(t.Context(), pool, "nas", one), fs.ErrNotExist)
	_, err := os.Stat(filepath.Dir(pool))
	assert.ErrorIs(t, err, fs.ErrNotExist)
	_, err = store.Get(t.Context(), "nas")
	assert.NilError(t, err)
}

// pausing is a kernel with which something happens after the first piece of work.
type pausing struct {
	*mountertest.Kernel

	after func()
}

func (p *pausing) Do(ctx context.Context, key string, work func() error) error {
	err := p.Kernel.Do(ctx, key, work)
	if after := p.after; after != nil {
		p.after = nil
		after()
	}
	return err
}

// A copy that is made while another call looks at the pool is not taken for one that is gone from there.
func TestCopiesBesideEachOther(t *testing.T) {
	kernel, pool := &pausing{Kernel: mountertest.New(t)}, t.TempDir()
	store := credential.NewStore(kernel, folder)
	kernel.after = func() {
		assert.NilError(t, store.SetAll(t.Context(), pool, "nas", credential.Credentials{Username: "media", Password: mounter.NewSecret("secret")}))
	}
	assert.NilError(t, store.Mirror(t.Context(), pool))
	_, err := store.Get(t.Context(), "nas")
	assert.NilError(t, err)
}

// A stuck disk stops nobody for longer than the caller allows.
func TestStuckDisk(t *testing.T) {
	store, kernel := newStore(t)
	kernel.Fail(mountertest.OpDo, 1, mounter.ErrStuck)
	_, err := store.Get(t.Context(), "nas")
	assert.Assert(t, errors.Is(err, mounter.ErrStuck))
}

func TestNothingShowsThePassword(t *testing.T) {
	credentials := credential.Credentials{Username: "bob", Password: mounter.NewSecret("canary")}
	encoded, err := json.Marshal(credentials)
	assert.NilError(t, err)
	for _, text := range []string{string(encoded), fmt.Sprint(credentials), fmt.Sprintf("%+v %#v %q %x", credentials, credentials, credentials, credentials)} {
		assert.Assert(t, !strings.Contains(text, "canary") && !strings.Contains(text, "63616e617279"), text)
		assert.Assert(t, strings.Contains(text, "bob") || strings.Contains(text, "***"), text)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("username=a\npassword=b\ndomain=c\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := credential.Parse(strings.NewReader(string(text)))
		if err == nil {
			assert.NilError(t, got.Check())
		}
	})
}
