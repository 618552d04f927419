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

// testShareRefusals tries what can be wrong with a share, and that a database is never put on one.
func (s *site) testShareRefusals(t *testing.T) {
	s.healed(t)
	ctx, nas := t.Context(), s.lab.NAS()
	s.ok(t, s.share("films", "torrents", password))
	s.ok(t, run("films")+" sh -c 'echo kept >/config/file'")
	films := "[ \"$(" + run("films") + " cat /config/file)\" = kept ]"
	locked := s.share("locked", "usenet", "wrong") + " >/dev/null && " + run("locked") + " touch /config/file"
	missing := s.share("missing", "nosuch", password) + " >/dev/null && " + run("missing") + " touch /config/file"
	first := s.share("first", "usenet", password) + " >/dev/null && " + run("first") + " touch /config/file"
	for _, c := range []refusal{
		{name: "share-class-db", attempt: s.share("refused", "torrents", password, "--opt class=db")},
		{name: "share-sqlite", attempt: s.share("refused", "torrents", password, "--opt sqlite=true")},
		{
			name: "share-wrong-password", attempt: locked, works: locked,
			remove: func(t *testing.T) { assert.NilError(t, nas.SetPassword(ctx, "wrong")) },
		},
		{name: "share-missing", attempt: missing},
		{
			name: "share-server-off", attempt: first, works: first,
			cause:  func(t *testing.T) { assert.NilError(t, nas.SMB.Stop(ctx)) },
			remove: func(t *testing.T) { assert.NilError(t, nas.SMB.Start(ctx)) },
		},
		{
			name: "share-server-hangs", attempt: writes("films"), works: films,
			cause:  func(t *testing.T) { assert.NilError(t, nas.SMB.Hang(ctx)) },
			remove: func(t *testing.T) { assert.NilError(t, nas.SMB.Continue(ctx)) },
		},
		{
			name: "share-server-unreachable", attempt: writes("films"), works: films,
			cause:  func(t *testing.T) { assert.NilError(t, s.node.CutNAS(ctx)) },
			remove: func(t *testing.T) { assert.NilError(t, s.node.RestoreNAS(ctx)) },
		},
	} {
		t.Run(strings.TrimPrefix(c.name, "share-"), func(t *testing.T) { s.refuses(t, c) })
	}
	s.ok(t, "docker volume rm films $(docker volume ls --quiet | grep -xE 'first|locked|missing')")
}

// testPasswords gives the share the passwords that break other drivers (FACTS 6), each by both ways.
func (s *site) testPasswords(t *testing.T) {
	s.healed(t)
	for name, password := range map[string]string{
		"comma and blanks": `comma, and blanks `,
		"signs":            `100% $HOME "quoted" it's \back\ #hash =is`,
	} {
		t.Run(name, func(t *testing.T) {
			assert.NilError(t, s.lab.NAS().SetPassword(t.Context(), password))
			const inline, named = "inline", "named"
			s.ok(t, fmt.Sprintf("docker volume create --driver homelab-storage --opt type=cifs --opt device=//nas/usenet --opt username=%s --opt password=%s %s",
				s.lab.NAS().Username(), quote(password), inline))
			s.ok(t, run(inline)+" sh -c 'echo inline >/config/password'")
			s.ok(t, fmt.Sprintf("printf %%s %s | docker homelab credentials set %s --username %s", quote(password), named, s.lab.NAS().Username()))
			s.ok(t, fmt.Sprintf("docker volume create --driver homelab-storage --opt class=media --opt share=//nas/usenet --opt credentials=%s %[1]s", named))
			assert.Equal(t, s.ok(t, run(named)+" cat /config/password"), "inline")
			assert.Equal(t, s.ok(t, "docker volume inspect --format '{{.Options}} {{.Status}}' "+named+" | grep -cF "+quote(password)+" || true"), "0")
			s.ok(t, "docker volume rm "+inline+" "+named)
		})
	}
}
