package option_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/option"
)

func TestParseReadsEveryOption(t *testing.T) {
	set, err := option.Parse(map[string]string{
		"class": "db", "type": "ocfs2", "pool": "media-apps", "subdir": "radarr", "uid": "1001", "gid": "0",
		"mode": "0750", "sqlite": "true", "access": "exclusive", "ro": "yes",
	})
	assert.NilError(t, err)
	assert.Equal(t, set.Class, "db")
	assert.Equal(t, set.UID, uint32(1001))
	assert.Equal(t, set.GID, uint32(0))
	assert.Equal(t, uint32(set.Mode), uint32(0o750))
	assert.Assert(t, *set.SQLite)
	assert.Assert(t, set.ReadOnly)
	assert.Assert(t, set.Has("gid") && !set.Has("size"))
}

func TestParseReadsATmpfsOfDriverLocal(t *testing.T) {
	set, err := option.Parse(map[string]string{"type": "tmpfs", "device": "tmpfs", "o": "size=100m,uid=1000,gid=1001,mode=1777,nosuid,ro"})
	assert.NilError(t, err)
	assert.Equal(t, set.Size, int64(100<<20))
	assert.Equal(t, set.UID, uint32(1000))
	assert.Equal(t, set.GID, uint32(1001))
	assert.Equal(t, uint32(set.Mode), uint32(0o1777))
	assert.Assert(t, set.ReadOnly)
	assert.Assert(t, set.Has("size") && set.Has("uid") && !set.Has("device") && !set.Has("o"))
}

func TestParseRefuses(t *testing.T) {
	cases := []struct {
		options map[string]string
		want    []string
	}{
		{map[string]string{"type": "tmpfs", "o": "size=half"}, []string{`o: option size="half" must be a size of at least 64k`}},
		{map[string]string{"type": "tmpfs", "o": "size=1g", "size": "2g"}, []string{"options size and o=size=1g contradict each other: use one of them"}},
		{map[string]string{"type": "tmpfs", "o": "noexec"}, []string{`o: option "noexec" has no meaning for a temp volume; it takes size, uid, gid, mode and ro`}},
		{map[string]string{"type": "tmpfs", "device": "/srv/x"}, []string{`options type=tmpfs and device="/srv/x" contradict each other: a tmpfs has no device; write device=tmpfs, or leave it out`}},
		{map[string]string{"type": "none", "o": "ro", "device": "/srv/x"}, []string{"option type=none needs o=bind"}},
		{map[string]string{"klass": "db"}, []string{`option "klass" is unknown; did you mean class?`}},
		{map[string]string{"Class": "db"}, []string{`did you mean class?`}},
		{map[string]string{"zzzzzz": "db"}, []string{`option "zzzzzz" is unknown; -o help=1 lists them all`}},
		{map[string]string{"username": ""}, []string{"option username is empty", "${...}"}},
		{map[string]string{"device": ""}, []string{"option device is empty"}},
		{map[string]string{"uid": "media"}, []string{`option uid="media" must be a number from 0 to 4294967294`}},
		{map[string]string{"uid": "4294967295"}, []string{"uid="}},
		{map[string]string{"mode": "504"}, []string{`option mode="504" is what YAML makes of 0770 without quotes: write mode: "0770" (or, if it is meant, 0504)`}},
		{map[string]string{"mode": "493"}, []string{`is what YAML makes of 0755 without quotes`}},
		{map[string]string{"mode": "1528"}, []string{`is what YAML makes of 2770 without quotes`}},
		{map[string]string{"type": "ocfs2", "share": "torrents"}, []string{"options type=ocfs2 and share contradict each other: a share is type=cifs"}},
		{map[string]string{"type": "local", "share": "//nas/x"}, []string{"options type=local and share contradict each other"}},
		{map[string]string{"mode": "0999"}, []string{`option mode="0999" must be octal permissions`}},
		{map[string]string{"type": "nfs"}, []string{`option type="nfs" must be one of ocfs2, cifs`}},
		{map[string]string{"size": "1k"}, []string{`option size="1k" must be a size of at least 64k`}},
		{map[string]string{"sqlite": "maybe"}, []string{"must be true or false"}},
		{map[string]string{"pool": "a", "share": "b"}, []string{"options pool and share contradict each other"}},
		{map[string]string{"credentials": "nas", "username": "u", "password": "p"}, []string{"credentials and username", "credentials and password"}},
		{map[string]string{"password": "p"}, []string{"password is given without username"}},
		{map[string]string{"type": "none", "o": "rw", "device": "/x"}, []string{`type=none needs o=bind, as for driver local; o is "rw"`}},
		{map[string]string{"type": "none", "o": "bind"}, []string{"needs device="}},
		{map[string]string{"type": "cifs", "device": "/mnt/x"}, []string{`type=cifs and device="/mnt/x" contradict`}},
		{map[string]string{"type": "ocfs2", "device": "//nas/x"}, []string{"the device is an SMB share"}},
		{map[string]string{"from": "other"}, []string{"must be trash/<entry>"}},
		{map[string]string{"subdir": "a\nb"}, []string{"control character"}},
		{map[string]string{"uid": "x", "modus": "1", "access": "all"}, []string{"uid=", `"modus" is unknown; did you mean mode?`, "must be one of exclusive, shared"}},
	}
	for _, c := range cases {
		t.Run(fmt.Sprint(c.options), func(t *testing.T) {
			_, err := option.Parse(c.options)
			for _, want := range c.want {
				assert.ErrorContains(t, err, want)
			}
		})
	}
}

// A password that is where none belongs is not shown by the refusal either.
func TestMisplacedPasswordsAreNotShown(t *testing.T) {
	for _, options := range []map[string]string{
		{"device": "//bob:canary@nas/media"},
		{"device": `\\bob:canary@nas\media`},
		{"share": "smb://bob:canary@nas/media"},
		{"username": "bob%canary"},
		{"o": "username=bob,password=canary\n"},
		{"type": "none", "o": "password=x,canary", "device": "/x"},
		{"o": "username=bob%canary\t"},
	} {
		_, err := option.Parse(options)
		assert.Assert(t, err != nil && !strings.Contains(err.Error(), "canary"), "%v", err)
	}
	for _, device := range []string{"//bob:canary@nas/media", `\\\\bob:canary@nas\\media`, "SMB://bob:canary@nas/media"} {
		_, err := option.Parse(map[string]string{"device": device})
		assert.ErrorContains(t, err, "holds a user and a password")
		assert.Assert(t, !strings.Contains(err.Error(), "canary"), "%v", err)
	}
	_, err := option.Parse(map[string]string{"device": "//bob@nas/media"})
	assert.NilError(t, err, "a user alone is the business of the share's backend")
}

func TestSecretsAreNeverShown(t *testing.T) {
	options := map[string]string{"username": "media", "password": "can,ary"}
	set, err := option.Parse(options)
	assert.NilError(t, err)
	assert.Equal(t, set.Password.Reveal(), "can,ary")
	for _, text := range []string{fmt.Sprint(set), fmt.Sprintf("%+v %#v %q %x", set, set, set.Password, set.Password)} {
		assert.Assert(t, !strings.Contains(text, "ary"), text)
	}
	encoded, err := json.Marshal(set.Password)
	assert.NilError(t, err)
	assert.Equal(t, string(encoded), `"***"`)
	options["o"] = "username=media,password=can,ary,vers=3.0"
	public := option.Public(options)
	assert.Equal(t, public["password"], "***")
	assert.Equal(t, public["o"], "username=media,password=***,vers=3.0")
	assert.Equal(t, public["username"], "media")
}

func TestHelpNamesEveryOption(t *testing.T) {
	for _, row := range option.Table() {
		assert.Assert(t, strings.Contains(option.Help(), "\n  "+row.Name+" "), row.Name)
		assert.Assert(t, row.Values != "" && row.Text != "", row.Name)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("class", "db", "o", "username=a,password=b,,c,vers=3.0")
	f.Add("uid", "-1", "mode", "08")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		options := map[string]string{a: b, c: d}
		_, err := option.Parse(options)
		_, again := option.Parse(options)
		assert.Equal(t, fmt.Sprint(err), fmt.Sprint(again), "the same options, the same answer")
		public := option.Public(options)
		assert.DeepEqual(t, option.Public(public), public)
		if _, known := options["password"]; known && len(options["password"]) > 8 {
			assert.Equal(t, option.Public(options)["password"], "***")
		}
	})
}

func TestTheDocumentedTableIsTheCode(t *testing.T) {
	page, err := os.ReadFile("../../docs/options.md")
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(string(page), option.Markdown()), "docs/options.md must hold this table:\n%s", option.Markdown())
}
