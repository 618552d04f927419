package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/need"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/scripts/units"
)

// leftByTheEngine makes what an engine leaves that did not end in order: two volumes, binds of a pool, with a mask on each. It
// then runs the script in $2, tells the mounts that are left, and ends as the script did.
const leftByTheEngine = `set -e
cd "$1" && mkdir pool volume 'a volume' && mount -t ramfs disk pool && mkdir pool/.homelab-storage
for volume in volume 'a volume'; do
	mount --bind pool "$volume"
	mount -t tmpfs -o ro,mode=000 ` + mounter.MaskSource + ` "$volume/.homelab-storage"
done
cd / && code=0 && sh -c "$2" >&2 || code=$?
grep -F "$1" /proc/self/mountinfo || exit $code`

// TestShutdownUnmounts has ramfs play OCFS2 in a mount namespace of its own, and a folder play configfs.
func TestShutdownUnmounts(t *testing.T) {
	need.Root(t)
	need.Programs(t, "scripts/deps base", "sh", "unshare", "mount", "umount", "grep")
	const never = "exit 3" // instead of the pause
	for name, test := range map[string]struct {
		mode, pause string
		region      bool
		code        int
	}{
		"no cluster":                                {pause: never},
		"the heartbeat has ended":                   {mode: "local", pause: never},
		"the heartbeat ends a moment later":         {mode: "local", region: true, pause: "rmdir REGION"},
		"the heartbeat goes on":                     {mode: "local", region: true, pause: ":", code: 1},
		"a global heartbeat, which does not end":    {mode: "global", region: true, pause: never},
		"a global heartbeat, of which none is left": {mode: "global", pause: never},
	} {
		t.Run(name, func(t *testing.T) {
			folder, config := t.TempDir(), t.TempDir()
			region := filepath.Join(config, "cluster/lab/heartbeat", strings.Repeat("0A", 16))
			if test.mode != "" {
				assert.NilError(t, os.MkdirAll(filepath.Dir(region), 0o755))
				assert.NilError(t, os.WriteFile(filepath.Join(filepath.Dir(region), "mode"), []byte(test.mode+"\n"), 0o600))
			}
			if test.region {
				assert.NilError(t, os.Mkdir(region, 0o755))
			}
			script := stopScript(t, "--types ocfs2", "--types ramfs", "/sys/kernel/config/", config+"/", "sleep 1", strings.ReplaceAll(test.pause, "REGION", region))
			command := exec.CommandContext(t.Context(), "unshare", "--mount", "--propagation", "private", "sh", "-c", leftByTheEngine, "sh", folder, script)
			var said strings.Builder
			command.Stderr = &said
			left, err := command.Output()
			assert.Equal(t, string(left), "", "%s", &said)
			assert.Equal(t, command.ProcessState.ExitCode(), test.code, "%v: %s", err, &said)
		})
	}
}

// stopScript is what the unit has the shell do at shutdown, with some of its words replaced.
func stopScript(t *testing.T, replaced ...string) string {
	t.Helper()
	_, after, found := strings.Cut(unitText(t, units.Pools), "\nExecStop=/bin/sh -c '")
	assert.Assert(t, found)
	script, _, found := strings.Cut(after, "'\n")
	assert.Assert(t, found)
	for index := 0; index < len(replaced); index += 2 {
		assert.Assert(t, strings.Contains(script, replaced[index]), "%q is not in %s", replaced[index], script)
	}
	return strings.NewReplacer(append(replaced, "\\\n", " ", "$$", "$")...).Replace(script)
}
