package mountoption_test

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/mountoption"
)

func TestSplit(t *testing.T) {
	type part = mountoption.Part
	for text, want := range map[string][]part{
		"":                             nil,
		",, ,":                         nil,
		"bind":                         {{Name: "bind"}},
		" RW , VERS=3.0 ":              {{Name: "rw"}, {Name: "vers", Value: "3.0", Valued: true}},
		"username=,domain=":            {{Name: "username", Valued: true}, {Name: "domain", Valued: true}},
		"a=b=c":                        {{Name: "a", Value: "b=c", Valued: true}},
		"=x":                           {{Value: "x", Valued: true}},
		"password=a,,b,vers=3.0":       {{Name: "password", Value: "a,b", Valued: true}, {Name: "vers", Value: "3.0", Valued: true}},
		"pass=,,,uid=1":                {{Name: "pass", Value: ",", Valued: true}, {Name: "uid", Value: "1", Valued: true}},
		"Password= a b ,uid=1":         {{Name: "password", Value: " a b ", Valued: true}, {Name: "uid", Value: "1", Valued: true}},
		`password=a=b"'\%$ü`:           {{Name: "password", Value: `a=b"'\%$ü`, Valued: true}},
		"password=x,":                  {{Name: "password", Value: "x", Valued: true}},
		"username=u,,password=p,,soft": {{Name: "username", Value: "u", Valued: true}, {Name: "password", Value: "p,soft", Valued: true}},
	} {
		assert.DeepEqual(t, mountoption.Split(text), want)
	}
}

func TestPublicHidesEveryPassword(t *testing.T) {
	for text, want := range map[string]string{
		"username=bob,password=canary,vers=3.0":    "username=bob,password=***,vers=3.0",
		"PASS=canary":                              "pass=***",
		"password2=canary,ro":                      "password2=***,ro",
		"pass2=ca,nary,ro":                         "pass2=***,ro",
		"passwd=ca,nary,ro":                        "passwd=***,ro",
		"pwd=canary":                               "pwd=***",
		"password=ca,nary,vers=3.0":                "password=***,vers=3.0",
		"password=ca,nary,canary,nosuid":           "password=***,nosuid",
		"password=ca,,nary":                        "password=***",
		"username=bob%canary,uid=1":                "username=bob%***,uid=1",
		"user=bob%can,ary,uid=1":                   "user=bob%***,uid=1",
		"vers=3.0,x-systemd.automount,nofail":      "vers=3.0,x-systemd.automount,nofail",
		"password=canary,x-systemd.automount,soft": "password=***,x-systemd.automount,soft",
	} {
		got := mountoption.Public(text)
		assert.Equal(t, got, want)
		assert.Assert(t, !strings.Contains(got, "nary"), got)
	}
}

func TestKnown(t *testing.T) {
	for name := range strings.FieldsSeq("vers uid soft nosoft noserverino nofail _netdev x-systemd.automount nobrl nodfs user") {
		assert.Assert(t, mountoption.Known(name), name)
	}
	for name := range strings.FieldsSeq("verz nononsense uids") {
		assert.Assert(t, !mountoption.Known(name), name)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"vers", "file_mode", "dir_mode"}
	assert.Equal(t, mountoption.Nearest("filemode", names), "file_mode")
	assert.Equal(t, mountoption.Nearest("VERSION", names), "")
	assert.Equal(t, mountoption.Nearest("verz", names), "vers")
	assert.Equal(t, mountoption.Nearest("VERS", names), "vers")
	assert.Equal(t, mountoption.Nearest("x", []string{"o", "ro"}), "", "nothing in common")
}

// Whatever the text, Split ends, and Public gives out nothing of a password that stands alone.
func FuzzPublic(f *testing.F) {
	f.Add("username=a,", "ca,,na,ry", ",vers=3.0")
	f.Add("", ",", "")
	f.Fuzz(func(t *testing.T, before, password, after string) {
		_ = mountoption.Public(before + after)
		doubled := strings.ReplaceAll(password, ",", ",,")
		parts := mountoption.Split("uid=1,password=" + doubled + ",ro")
		assert.Equal(t, len(parts), 3)
		assert.Equal(t, parts[1].Value, password)
	})
}
