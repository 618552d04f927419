package smb_test

import (
	"slices"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// Whatever stands beside guest, the kernel is told that nobody logs in, and nothing that it does not understand.
func TestGuestIsNobody(t *testing.T) {
	for _, options := range []string{
		"guest,sec=ntlmssp", "sec=ntlmssp,guest", "vers=3,guest", "vers=3,username=guest,password=", "username=guest,password=,sec=ntlmssp,vers=default",
	} {
		b := newBench(t)
		plan, err := b.backend.Plan(t.Context(), device("//nas/torrents", options))
		assert.NilError(t, err, options)
		assert.DeepEqual(t, plan.Location.MountOptions, []string{"sec=none"})
		_, err = b.backend.Stage(t.Context(), backend.Volume{ID: "0123456789abcdef0123456789abcdef", Name: "v", Location: plan.Location})
		assert.NilError(t, err)
		assert.Equal(t, b.last().User, "")
		assert.Assert(t, b.given(mounter.Option{Name: "sec", Value: "none"}), options)
		assert.Assert(t, !slices.ContainsFunc(b.last().Options, func(option mounter.Option) bool { return option.Name == "" }), options)
	}
}

// A volume's own login is used on a share that the configuration has for guests.
func TestLoginWinsOverTheConfigurationsGuest(t *testing.T) {
	b := newBench(t)
	b.settings.Shares = []settings.Share{{Name: "media", Device: "//nas/media", Options: []string{"guest,seal"}}}
	for options, want := range map[string]backend.Plan{
		"":                           {Location: backend.Location{MountOptions: []string{"seal", "sec=none"}}},
		"guest":                      {Location: backend.Location{MountOptions: []string{"seal", "sec=none"}}},
		"credentials=tv":             {Location: backend.Location{MountOptions: []string{"seal"}, Credentials: "tv"}},
		"username=bob,password=x":    {Location: backend.Location{MountOptions: []string{"seal"}}, Username: "bob"},
		"credentials=tv,sec=ntlmssp": {Location: backend.Location{MountOptions: []string{"seal", "sec=ntlmssp"}, Credentials: "tv"}},
	} {
		plan, err := b.backend.Plan(t.Context(), ask(func(r *backend.Request) { r.Share, r.Options = "media", options }))
		assert.NilError(t, err, options)
		assert.DeepEqual(t, plan.Location.MountOptions, want.Location.MountOptions)
		assert.Equal(t, plan.Location.Credentials, want.Location.Credentials)
		assert.Equal(t, plan.Username, want.Username)
	}
	_, err := b.backend.Plan(t.Context(), ask(func(r *backend.Request) { r.Share, r.Options = "media", "guest,credentials=tv" }))
	assert.ErrorContains(t, err, "o=credentials and guest contradict each other")
}

// The later one of ro and rw holds, but the volume's own option ro says so of itself.
func TestWritableAgain(t *testing.T) {
	b := newBench(t)
	b.settings.Shares = []settings.Share{{Name: "media", Device: "//nas/media", Credentials: "tv", Options: []string{"ro"}}}
	for options, want := range map[string]bool{"": true, "rw": false, "rw,ro": true, "ro,rw": false} {
		for _, explicit := range []bool{false, true} {
			plan, err := b.backend.Plan(t.Context(), ask(func(r *backend.Request) {
				r.Share, r.Options, r.Explicit["ro"], r.Location.ReadOnly = "media", options, explicit, explicit
			}))
			assert.NilError(t, err)
			assert.Equal(t, plan.Location.ReadOnly, want || explicit, "%q %v", options, explicit)
		}
	}
}
