package smb_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
)

func ask(change func(*backend.Request)) backend.Request {
	request := backend.Request{Name: "torrents", Explicit: map[string]bool{}, Location: backend.Location{Kind: backend.CIFS, UID: 1000, GID: 1000, Mode: 0o770}}
	change(&request)
	return request
}

func device(device, options string) backend.Request {
	return ask(func(r *backend.Request) { r.Device, r.Options = device, options })
}

func share(share, subdir string) backend.Request {
	return ask(func(r *backend.Request) { r.Share, r.Location.Subdir = share, subdir })
}

// requests are what people write, each with a title; the golden file holds what becomes of them.
func requests() []struct {
	title   string
	request backend.Request
} {
	const login = "username=bob,password=canary"
	type row = struct {
		title   string
		request backend.Request
	}
	rows := []row{
		{"a compose file's share", device("//nas/torrents", login+",domain=HOME,vers=3.0,file_mode=0770,dir_mode=0770,uid=1000,gid=1000,soft,actimeo=30")},
		{"configured share by name", share("media", "")},
		{"configured share with a directory", share("media/4k", "hdr")},
		{"share of SMB_SERVER", share("torrents", "")},
		{"share as UNC", share("//other/usenet/tv", "")},
		{"named credentials", ask(func(r *backend.Request) {
			r.Share, r.Location.Credentials, r.Explicit["credentials"] = "torrents", "kids", true
		})},
		{"named credentials in o", device("//nas/torrents", "credentials=kids")},
		{"credentials file of the host", device("//nas/torrents", "credentials=/etc/nas.cred,vers=3.1.1")},
		{"credentials file that is missing", device("//nas/torrents", "credentials=/etc/none")},
		{"credentials file that others may read", device("//nas/torrents", "credentials=/etc/open.cred")},
		{"relative credentials file", device("//nas/torrents", "credentials=./nas.cred")},
		{"two ways to log in", ask(func(r *backend.Request) {
			r.Device, r.Options, r.Location.Credentials, r.Explicit["credentials"] = "//nas/torrents", login, "kids", true
		})},
		{"inline options", ask(func(r *backend.Request) {
			r.Device, r.Username, r.Password = "//nas/torrents", "bob", mounter.NewSecret("canary")
		})},
		{"uid twice, equal", ask(func(r *backend.Request) {
			r.Device, r.Options, r.Explicit["uid"] = "//nas/torrents", "uid=1000", true
		})},
		{"uid twice, different", ask(func(r *backend.Request) {
			r.Device, r.Options, r.Explicit["uid"], r.Explicit["mode"] = "//nas/torrents", "uid=33,dir_mode=0755", true, true
		})},
		{"nothing", ask(func(*backend.Request) {})},
		{"a pool", ask(func(r *backend.Request) { r.Device, r.Location.Pool = "//nas/torrents", "media-apps" })},
		{"subdir that leaves", share("torrents", "../../etc")},
	}
	for _, text := range []string{
		`\\nas\torrents\tv shows`, "//nas/torrents/", "//nas/torrents//tv/./x/", "//192.168.1.100/torrents", "//[fd00::1]/torrents", "//fd00::1/torrents",
		"///torrents", "//", "//nas", "//nas/", "//nas//tv", "//nas:4450/torrents", "//bob@nas/torrents", "smb://nas/torrents", "//${NAS}/torrents",
		"//nas/torrents/../x", "/mnt/torrents", "nas:/torrents", "//na s/torrents", "//nas/to:rrents", "//nas/..", "//nas/" + strings.Repeat("x", 81),
	} {
		rows = append(rows, row{"device " + text, device(text, "")})
	}
	for _, options := range []string{
		"username=,password=x", "username=bob,password=", login + ",domain=", "username=bob", "password=canary", `username=HOME\bob,password=canary`,
		"username=bob%canary", "username=bob%x,canary", "username=${SMB_USERNAME},password=canary", "username=bob,password=ca,nary,vers=3.0", "username=bob,password=ca,,nary", "guest", "guest,uid=0", "sec=none", login + ",guest", "username=bob,password=" + strings.Repeat("canary", 50),
		"vers=3", "vers=default", "vers=3.11", "vers=2.1", "vers=1.0", "vers=4", "vers=", "sec=ntlm", "sec=ntlmsspi", "sec=magic", "ntlm",
		"soft", "hard", "soft,hard", "nobrl", "nolock", "ro", "rw", "noexec", "sync", "_netdev,nofail,x-systemd.automount,users,user",
		"port=4450", "port=0", "port=99999", "port=x", "ip=192.168.1.7", "addr=fd00::1", "ip=nas", "cache=none", "cache=fast", "rsize=1M", "rsize=1048576", "actimeo=30,acregmax=5", "actimeo=",
		"seal,multichannel,max_channels=4", "seal=1", "uid=bob", "gid=4294967295", "file_mode=0888", "mfsymlinks,nomfsymlinks", "multiuser", "bind", "prefixpath=tv", "verz=3.0", "frobnicate", "=x", "VERS=3.0 , UID=7", "iocharset=utf8,noserverino,noperm", "password2=canary", "",
	} {
		rows = append(rows, row{"o=" + options, device("//nas/torrents", options)})
	}
	return rows
}

func TestPlan(t *testing.T) {
	bench := newBench(t)
	file := filepath.Join(bench.kernel.HostPath("/etc"), "nas.cred")
	assert.NilError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	assert.NilError(t, os.WriteFile(file, []byte("username=bob\npassword=canary\n"), 0o600))
	assert.NilError(t, os.WriteFile(filepath.Join(filepath.Dir(file), "open.cred"), []byte("username=bob\npassword=canary\n"), 0o644))
	before := bench.kernel.Calls()
	var text strings.Builder
	for _, row := range requests() {
		fmt.Fprintf(&text, "# %s\n%s\n", strings.NewReplacer("canary", "***", "ca,nary", "***", "ca,,nary", "***").Replace(row.title), planned(t, bench, row.request))
	}
	assert.Assert(t, !strings.Contains(text.String(), "canary") && !strings.Contains(text.String(), "nary"))
	golden.Assert(t, text.String(), "plan.golden")
	assert.Equal(t, bench.kernel.Calls()-before, 4, "only the credentials files and one user were looked at")
}

func planned(t *testing.T, bench *bench, request backend.Request) string {
	t.Helper()
	plan, err := bench.backend.Plan(t.Context(), request)
	if err != nil {
		return "refused: " + strings.TrimSpace(err.Error()) + "\n"
	}
	location, err := json.Marshal(plan.Location)
	assert.NilError(t, err)
	text := string(location) + "\n"
	if plan.Username != "" {
		text += fmt.Sprintf("user %q domain %q password %v\n", plan.Username, plan.Domain, plan.Password)
	}
	for _, warning := range plan.Warnings {
		text += "warning: " + warning + "\n"
	}
	return text
}

func TestPlanReportsAllProblemsTogether(t *testing.T) {
	_, err := newBench(t).backend.Plan(t.Context(), device("///torrents", "username=,verz=3,vers=1.0"))
	for _, want := range []string{"server's name is empty", "option username is empty", `"verz" is unknown; did you mean vers`, "SMB 1"} {
		assert.ErrorContains(t, err, want)
	}
}

func TestPlanWithoutConfiguration(t *testing.T) {
	bench := newBench(t)
	bench.settings.Shares, bench.settings.Server, bench.settings.Credentials = nil, "", ""
	_, err := bench.backend.Plan(t.Context(), share("torrents", ""))
	assert.Assert(t, errors.Is(err, backend.ErrNotConfigured))
	assert.ErrorContains(t, err, "no share is configured by name")
	_, err = bench.backend.Plan(t.Context(), device("//nas/torrents", ""))
	assert.ErrorContains(t, err, "the share is given no user and password")
}

func TestTheVolumesOptionsWin(t *testing.T) {
	bench := newBench(t)
	bench.settings.Shares = []settings.Share{{Name: "media", Device: "//nas/media/films", Credentials: "tv", Options: []string{"vers=3.0", "seal", "uid=33,soft"}}}
	plan, err := bench.backend.Plan(t.Context(), ask(func(r *backend.Request) { r.Share, r.Options = "media", "vers=3.1.1,hard,guest" }))
	assert.NilError(t, err)
	assert.DeepEqual(t, plan.Location.MountOptions, []string{"seal", "vers=3.1.1", "hard", "sec=none"})
	assert.Equal(t, plan.Location.UID, uint32(33))
	assert.Equal(t, plan.Location.Credentials, "")
	assert.Equal(t, plan.Location.Subdir, "films")
	bench.settings.Shares[0].Options = []string{"verz=1"}
	_, err = bench.backend.Plan(t.Context(), share("media", ""))
	assert.ErrorContains(t, err, "the configuration's share media: o: option")
}

// SMB 1 is the business of the share's configuration, at Create and at every mount.
func TestSMB1NeedsTheConfiguration(t *testing.T) {
	bench := newBench(t)
	old := device("//NAS/Old", "vers=1.0")
	_, err := bench.backend.Plan(t.Context(), old)
	assert.ErrorContains(t, err, `o: option vers="1.0" is refused: SMB 1 is insecure`)
	bench.settings.Shares = []settings.Share{{Name: "old", Device: "//nas/old/tv", Options: []string{"vers=1.0"}}}
	plan, err := bench.backend.Plan(t.Context(), old)
	assert.NilError(t, err)
	made := volume("v", "", plan.Location.MountOptions...)
	made.Location.Device = plan.Location.Device
	bench.kernel.SetAddresses("NAS", address(t))
	_, err = bench.backend.Stage(t.Context(), made)
	assert.NilError(t, err)
	bench.settings.Shares = nil
	made.Location.UID = 33 // another mount
	_, err = bench.backend.Stage(t.Context(), made)
	assert.ErrorContains(t, err, "which the configuration does not allow for this share")
	assert.Equal(t, bench.mounts(), 1)
}

// What getent says wrongly, or not at all, is no number.
func TestNamesOfUsers(t *testing.T) {
	bench := newBench(t)
	for output, want := range map[mounter.Output]string{
		{Stdout: "media:x:1001:1001::/:/bin/sh\n"}: "",
		{Code: 2}:                                "is not known to this host (`getent passwd media`)",
		{Stdout: "media:x:-1:1001::/:/bin/sh\n"}: "is not known to this host",
		{Stdout: "media:x:4294967295:1001::/:/bin/sh\n"}: "is not known to this host",
		{Stdout: "garbage"}: "is not known to this host",
	} {
		bench.kernel.SetProgram("getent", func(context.Context, mounter.Command) (mounter.Output, error) { return output, nil })
		plan, err := bench.backend.Plan(t.Context(), device("//nas/torrents", "uid=media"))
		if want != "" {
			assert.ErrorContains(t, err, want)
			continue
		}
		assert.NilError(t, err)
		assert.Equal(t, plan.Location.UID, uint32(1001))
	}
	before := bench.kernel.Calls()
	for _, bad := range []string{"uid=-x", "uid=a b", "uid=root;x", "gid=" + strings.Repeat("x", 99)} {
		_, err := bench.backend.Plan(t.Context(), device("//nas/torrents", bad))
		assert.ErrorContains(t, err, "must be a number")
	}
	assert.Equal(t, bench.kernel.Calls(), before, "nothing is run for them")
}
