//go:build lab

package cluster

import (
	"fmt"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
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
