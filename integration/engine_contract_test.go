//go:build integration

package integration

import (
	"os"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/engine"
	"github.com/homelab-storage/homelab-storage/integration/standin"
)

// The engine hands names over as the user typed them (FACTS 1).
func TestNamesThatAreNoFileNameAreRefused(t *testing.T) {
	e := plugged(t)
	for test, name := range map[string]string{
		"slash": "a/b", "climbing": "../../etc/evil", "space": "a b", "long": strings.Repeat("x", 300), "dot": ".hidden",
		"letter": "x", "option": "-rf", "unicode": "bücher",
	} {
		t.Run(test, func(t *testing.T) {
			text := refused(t, e, "volume", "create", "--driver", driver, "--opt", "class=db", "--", name)
			assert.Assert(t, strings.Contains(text, "create "+name+": volume name"), text)
			assert.Assert(t, strings.Contains(text, "2 to 128"), text)
		})
	}
	list := ok(t, e, "volume", "ls", "--filter", "driver="+driver, "--format", "{{.Name}}")
	assert.Assert(t, !strings.Contains(list, "evil"), list)
}

func TestARefusalReachesTheUserWithItsReason(t *testing.T) {
	e := plugged(t)
	for _, test := range []struct {
		name    string
		options []string
		says    []string
	}{
		{"database on SMB", []string{"class=db", "type=cifs", "device=//nas/share"}, []string{"class", "SMB", "SQLite"}},
		{"sqlite on SMB", []string{"sqlite=true", "type=cifs", "device=//nas/share"}, []string{"sqlite", "SMB"}},
		{"unknown option", []string{"class=db", "subdr=x"}, []string{"subdr", "subdir"}},
		{"unknown class", []string{"class=dbs"}, []string{"\"dbs\"", "db"}},
		{"two at once", []string{"klass=db", "modes=0700"}, []string{"klass", "modes"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := []string{"volume", "create", "--driver", driver}
			for _, option := range test.options {
				args = append(args, "--opt", option)
			}
			text := refused(t, e, append(args, "refused")...)
			// Status 200 with "Err" spares the user the call's name (FACTS 1).
			assert.Assert(t, strings.Contains(text, "create refused: ") && !strings.Contains(text, "VolumeDriver."), text)
			for _, word := range test.says {
				assert.Assert(t, strings.Contains(text, word), "%q is missing in: %s", word, text)
			}
			refused(t, e, "volume", "inspect", "refused")
		})
	}
}

func TestHelpIsTheTableOfOptions(t *testing.T) {
	e := plugged(t)
	text := refused(t, e, "volume", "create", "--driver", driver, "--opt", "help=1", "asking")
	for option := range strings.FieldsSeq("class type o device pool share subdir uid gid mode sqlite credentials username password domain ro access guard size from") {
		assert.Assert(t, strings.Contains(text, option), "%s is missing in: %s", option, text)
	}
}

// The engine skips Create when Get succeeds, also with other options (FACTS 1): nothing may change.
func TestCreatingAgainChangesNothing(t *testing.T) {
	e := plugged(t)
	name := volume(t, e, "", "class=db", "mode=0750")
	shell(t, e, name, "echo kept >/data/file")
	before := ok(t, e, "volume", "inspect", "--format", "{{.CreatedAt}}", name)
	ok(t, e, "volume", "create", "--driver", driver, "--opt", "class=cache", "--opt", "mode=0777", name)
	assert.Equal(t, ok(t, e, "volume", "inspect", "--format", "{{.CreatedAt}}", name), before)
	assert.Equal(t, shell(t, e, name, "cat /data/file; stat -c %a /data"), "kept\n750")
}

// A Mount that fails is no container, not one without its data; the same text reaches the user.
func TestAMountThatFailsStartsNoContainer(t *testing.T) {
	e := plugged(t)
	name := volume(t, e, "")
	_, err := e.Run(t.Context(), "mv", standalone+"/"+name, standalone+"/"+name+".away")
	assert.NilError(t, err)
	text := refused(t, e, "run", "--rm", "--volume", name+":/data", standin.Name, "touch", "/data/file")
	assert.Assert(t, strings.Contains(text, "error while mounting volume ''"), text)
	assert.Assert(t, strings.Contains(text, name), text)
	_, err = e.Run(t.Context(), "test", "!", "-e", standalone+"/"+name) // nothing was made in its place (rule 2)
	assert.NilError(t, err)
	assert.Equal(t, len(mountpoints(t, e, name)), 0)
	_, err = e.Run(t.Context(), "mv", standalone+"/"+name+".away", standalone+"/"+name)
	assert.NilError(t, err)
	shell(t, e, name, "touch /data/file")
}

// Each node its own, made on first use, deleted on remove (D5).
func TestDisposableVolumes(t *testing.T) {
	e := plugged(t)
	cache := volume(t, e, "-cache", "class=cache")
	shell(t, e, cache, "echo x >/data/file")
	assert.Equal(t, shell(t, e, cache, "cat /data/file"), "x")
	temp := volume(t, e, "-temp", "class=temp", "size=4m")
	assert.Equal(t, shell(t, e, temp, "grep ' /data ' /proc/mounts | cut -d' ' -f3; df -k /data | tail -n 1 | awk '{print $2}'"), "tmpfs\n4096")
	text := refused(t, e, "run", "--rm", "--volume", temp+":/data", standin.Name, "dd", "if=/dev/zero", "of=/data/file", "bs=1M", "count=5")
	assert.Assert(t, strings.Contains(text, "No space left"), text)
	for _, name := range []string{cache, temp} {
		unmounted(t, e, name)
		ok(t, e, "volume", "rm", name)
	}
}

// The password of an inline credential is shown by the engine itself (FACTS 1), and by nothing of ours (D13).
func TestAPasswordReachesNoMessageAndNoLog(t *testing.T) {
	const secret = "Tr0ub4dor&3,%$"
	e := fresh(t, engine.Options{}, "STANDALONE=true", "LOG_LEVEL=debug")
	args := []string{
		"volume", "create", "--driver", driver, "--opt", "type=cifs", "--opt", "device=//127.0.0.1/none",
		"--opt", "username=u", "--opt", "password=" + secret, "--opt", "no-such-option=1", "secretive",
	}
	text := refused(t, e, args...)
	assert.Assert(t, strings.Contains(text, "no-such-option") && !strings.Contains(text, secret), text)
	args[len(args)-2] = "class=media"
	if _, err := e.Docker(t.Context(), args...); err == nil { // it may need the server only at the first Mount
		text = refused(t, e, "run", "--rm", "--volume", "secretive:/data", standin.Name, "true")
		assert.Assert(t, !strings.Contains(text, secret), text)
	}
	log, err := os.ReadFile(e.LogFile())
	assert.NilError(t, err)
	assert.Assert(t, !strings.Contains(string(log), secret))
}
