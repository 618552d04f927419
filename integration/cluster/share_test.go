//go:build lab

package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/lab"
)

// share is the command that makes a volume of a share, as driver local's users write it.
func (s *site) share(volume, share, password string, more ...string) string {
	return fmt.Sprintf("docker volume create --driver homelab-storage --opt type=cifs --opt device=//nas/%s --opt o=username=%s,password=%s,vers=3.0 %s %s",
		share, s.lab.NAS().Username(), password, strings.Join(more, " "), volume)
}

// testShareRefusals has the engine say what is wrong with a share, and that a database is never put on one. Everything else that the
// plugin says of a NAS is in testNASStates.
func (s *site) testShareRefusals(t *testing.T) {
	s.healed(t)
	ctx := t.Context()
	s.ok(t, s.share("films", "torrents", password))
	s.ok(t, run("films")+" sh -c 'echo kept >/config/file'")
	films := "[ \"$(" + run("films") + " cat /config/file)\" = kept ]"
	locked := func(password string) string {
		return s.share("locked", "usenet", password) + " >/dev/null && " + run("locked") + " touch /config/file"
	}
	for _, c := range []refusal{
		{name: "share-class-db", attempt: s.share("refused", "torrents", password, "--opt class=db")},
		{name: "share-sqlite", attempt: s.share("refused", "torrents", password, "--opt sqlite=true")},
		{
			name: "share-wrong-password", attempt: locked("wrong"), works: locked(password), // other credentials are tried at once
		},
		{
			name: "share-server-unreachable", attempt: writes("films"), works: films,
			cause:  func(t *testing.T) { assert.NilError(t, s.node.CutNAS(ctx)) },
			remove: func(t *testing.T) { assert.NilError(t, s.node.RestoreNAS(ctx)) },
		},
	} {
		t.Run(strings.TrimPrefix(c.name, "share-"), func(t *testing.T) { s.refuses(t, c) })
	}
	s.ok(t, "docker volume rm films locked")
}

// testShareNames uses a share, a directory in it and files whose names have blanks and letters beyond ASCII.
func (s *site) testShareNames(t *testing.T) {
	s.healed(t)
	s.login(t)
	c, folder := s.calls(t), "Größe 1/Staffel 日本…"
	c.create(t, "spelled", media("//nas/"+lab.Spelled+"/"+folder))
	onNAS := filepath.Join(s.lab.NAS().Share(lab.Spelled), folder)
	assert.NilError(t, os.WriteFile(filepath.Join(onNAS, "Übung & Kür.mkv"), []byte("of the NAS\n"), 0o644))
	assert.Equal(t, s.ok(t, "docker run --rm --network none --volume spelled:/data "+lab.StandIn+" sh -c "+
		quote("cat '/data/Übung & Kür.mkv' && echo 'of a container' >'/data/ñ 2.mkv' && ls /data | wc -l")), "of the NAS\n2")
	content, err := os.ReadFile(filepath.Join(onNAS, "ñ 2.mkv"))
	assert.NilError(t, err)
	assert.Equal(t, string(content), "of a container\n")
	c.remove(t, "spelled")
}

// testOldServer uses a server that knows no dialect after SMB 3.0. It has a name of its own: the kernel's connection to the other one goes on.
func (s *site) testOldServer(t *testing.T) {
	s.healed(t)
	s.login(t)
	ctx, nas, c := t.Context(), s.lab.NAS(), s.calls(t)
	assert.NilError(t, s.node.Knows(ctx, "oldnas", nas.Server()))
	assert.NilError(t, nas.SpeakOnlySMB30(ctx))
	c.create(t, "old", media("//oldnas/usenet/old"))
	assert.NilError(t, c.mount(ctx, "old", "old"))
	s.ok(t, "[ $(dmesg | grep --count --fixed-strings "+quote(`CIFS: Attempting to mount \\oldnas\usenet`)+") -ge 2 ]") // 3.1.1 first
	has(t, s.ok(t, "grep ' cifs //oldnas/usenet ' /proc/$("+pluginPID+")/mountinfo | head --lines 1"), ",vers=3.0,")
	s.ok(t, "cd /var/lib/docker/plugins/*/propagated-mount/old && echo written >file")
	content, err := os.ReadFile(filepath.Join(nas.Share("usenet"), "old", "file"))
	assert.NilError(t, err)
	assert.Equal(t, string(content), "written\n")
	assert.NilError(t, c.unmount(ctx, "old", "old"))
	c.remove(t, "old")
	assert.NilError(t, nas.SpeakAll(ctx))
}
