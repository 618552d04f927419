package driver_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/local"
	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// Test is a login that //nas/refused does not let in, and a wrong one nowhere.
func (s *share) Test(_ context.Context, location backend.Location) error {
	if strings.HasSuffix(location.Device, "/refused") || location.Credentials == "wrong" {
		return &backend.Failure{Text: location.Device + ": the server refused " + location.Credentials, Err: backend.ErrLogin}
	}
	return nil
}

func TestCredentialsOfAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var ahead atomic.Int64
		b.options.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		b.start(t)
		login := credential.Credentials{Username: "bob", Password: mounter.NewSecret("canary")}
		assert.NilError(t, b.driver.CredentialsSet(t.Context(), "nas", login))
		onPool := filepath.Join(b.pool.proven().Private, backend.CredentialsFolder, "nas")
		text, err := os.ReadFile(onPool)
		assert.NilError(t, err)
		assert.Equal(t, string(text), "username=bob\npassword=canary\n")
		found, err := b.options.Secrets.Get(t.Context(), "nas")
		assert.NilError(t, err)
		assert.Equal(t, found.Username, "bob")
		assert.ErrorContains(t, b.driver.CredentialsSet(t.Context(), "../x", login), "must be 1 to 128 letters")

		// What another node stores is copied without any volume being made, also when the clock is put back.
		stop := b.run(t)
		defer stop()
		for user, shift := range map[string]time.Duration{"alice": time.Minute, "carol": -time.Hour} {
			assert.NilError(t, os.WriteFile(onPool, []byte("username="+user+"\npassword=canary\n"), 0o600))
			ahead.Add(int64(shift))
			poll.WaitOn(t, func(poll.LogT) poll.Result {
				found, err := b.options.Secrets.Get(t.Context(), "nas")
				if err != nil || found.Username != user {
					return poll.Continue("it is still %s's: %v", found.Username, err)
				}
				return poll.Success()
			}, poll.WithTimeout(20*time.Second))
		}

		assert.NilError(t, b.driver.CredentialsRemove(t.Context(), "nas"))
		_, err = b.options.Secrets.Get(t.Context(), "nas")
		assert.ErrorIs(t, err, credential.ErrNotFound)
		b.source.now.Store(&settings.Settings{Node: "node1"})
		assert.ErrorContains(t, b.driver.CredentialsSet(t.Context(), "nas", login), "no pool is configured: leave --all-nodes out")
	})
}

// Swarm starts a service on two nodes at once: the second one's engine makes and mounts the volume a moment after the first one's Create
// stored the user and password of its options for all nodes.
func TestInlineCredentialsAreThereOnTheSecondNode(t *testing.T) {
	b := newBench(t)
	second := b.other(t)
	second.options.Secrets = credential.NewStore(b.kernel, node2Folder+"/credentials")
	second.share = &share{secrets: second.options.Secrets}
	second.share.base.Store(&mounter.Place{Side: mounter.Plugin, Path: b.kernel.Temp()})
	second.options.Backends = []backend.Backend{b.pool, second.share, local.New(b.kernel, node2Folder)}
	second.start(t)
	second.create(t, "first", nil) // attaches its catalog
	options := map[string]string{"type": "cifs", "device": "//nas/films", "username": "bob", "password": "canary"}
	b.create(t, "films", options)
	second.create(t, "films", options)
	second.mount(t, "films", "a")
	assert.Equal(t, second.share.stages.Load(), int32(2))
	assert.NilError(t, second.driver.Unmount(t.Context(), "films", "a"))
}

func TestCredentialsAreTried(t *testing.T) {
	b := newBench(t)
	now := configured()
	now.Shares = []settings.Share{
		{Name: "media", Device: "//nas/media", Credentials: "nas"},
		{Name: "other", Device: "//nas/other", Credentials: "tv"},
		{Name: "public", Device: "//nas/public", Options: []string{"guest"}},
		{Name: "open", Device: "//nas/open", Options: []string{"sec=none"}},
	}
	now.Credentials = "nas"
	b.source.now.Store(now)
	_, err := b.driver.CredentialsTest(t.Context(), "nas", "")
	assert.ErrorIs(t, err, credential.ErrNotFound)
	login := credential.Credentials{Username: "bob", Password: mounter.NewSecret("canary")}
	assert.NilError(t, b.options.Secrets.Set(t.Context(), "nas", login))
	assert.NilError(t, b.options.Secrets.Set(t.Context(), "lone", login))
	b.create(t, "films", map[string]string{"type": "cifs", "device": "//nas/refused", "credentials": "nas"})
	b.create(t, "shows", map[string]string{"type": "cifs", "device": "//NAS/refused", "credentials": "nas", "subdir": "tv"})
	use, err := b.driver.CredentialsUse(t.Context(), "nas")
	assert.NilError(t, err)
	assert.DeepEqual(t, use.Volumes, []string{"films", "shows"})
	assert.DeepEqual(t, use.Shares, []string{"media"})
	tests, err := b.driver.CredentialsTest(t.Context(), "nas", "")
	assert.NilError(t, err)
	assert.Equal(t, len(tests), 2, "each share once: %v", tests)
	assert.Equal(t, tests[0].Share, "//nas/refused")
	assert.Equal(t, tests[0].Problem, "the server refused nas")
	assert.Equal(t, tests[1].Problem, "")
	_, err = b.driver.CredentialsTest(t.Context(), "lone", "")
	assert.ErrorContains(t, err, "name a share: `docker homelab credentials test lone //server/share`")
	tests, err = b.driver.CredentialsTest(t.Context(), "lone", "//nas/refused")
	assert.NilError(t, err)
	assert.Equal(t, tests[0].Problem, "the server refused lone")

	for i := range 20 {
		now.Shares = append(now.Shares, settings.Share{Name: fmt.Sprintf("more%d", i), Device: fmt.Sprintf("//nas/more%d", i), Credentials: "lone"})
	}
	tests, err = b.driver.CredentialsTest(t.Context(), "lone", "")
	assert.NilError(t, err)
	assert.Equal(t, len(tests), 20, "none is left out")
	login.Password = mounter.NewSecret("wrong")
	assert.NilError(t, b.options.Secrets.Set(t.Context(), "wrong", login))
	for i := range 20 {
		now.Shares = append(now.Shares, settings.Share{Name: fmt.Sprintf("//nas/shut%d", i), Credentials: "wrong"})
	}
	wrong, err := b.driver.CredentialsTest(t.Context(), "wrong", "")
	assert.NilError(t, err)
	said := map[string]int{}
	for _, test := range wrong {
		said[test.Problem]++
	}
	assert.DeepEqual(t, said, map[string]int{
		"the server refused wrong": 2, "not tried, so that the server does not lock the user out: it refused the login to 2 others of its shares": 18,
	})
	now.Shares = append(now.Shares, settings.Share{Name: "gone", Credentials: "lone"})
	tests, err = b.driver.CredentialsTest(t.Context(), "lone", "")
	assert.NilError(t, err, "the others are tried")
	assert.DeepEqual(t, tests[len(tests)-1], driver.LoginTest{Share: "gone", Problem: `share "gone": it has no device`})
	assert.Equal(t, len(tests), 21)
}
