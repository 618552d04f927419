//go:build lab && long

package cluster

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/lab"
)

// testGuests uses a share without a user, of a server that lets everybody in, and then of one that does not.
func (s *site) testGuests(t *testing.T) {
	s.healed(t)
	ctx, nas := t.Context(), s.lab.NAS()
	create := "docker volume create --driver homelab-storage --opt type=cifs --opt device=//nas/usenet --opt o="
	assert.NilError(t, nas.LetGuestsIn(ctx, true))
	t.Cleanup(func() { assert.Check(t, nas.LetGuestsIn(context.WithoutCancel(ctx), false)) })
	for volume, options := range map[string]string{"guest": "guest,vers=3.0", "nobody": "username=guest,password="} {
		s.ok(t, create+options+" "+volume)
		assert.Equal(t, s.ok(t, run(volume)+" sh -c 'echo of '"+volume+"' >/config/"+volume+"; cat /config/"+volume+"'"), "of "+volume)
		text, err := os.ReadFile(filepath.Join(nas.Share("usenet"), volume))
		assert.NilError(t, err)
		assert.Equal(t, string(text), "of "+volume+"\n")
		s.ok(t, "docker volume rm "+volume)
	}
	assert.NilError(t, nas.LetGuestsIn(ctx, false))
	// The session of a guest who is in ends when the client asks for something the next time.
	s.eventually(t, "! { "+create+"guest stranger && docker volume rm stranger; }")
	said, _ := s.refused(t, create+"guest stranger")
	has(t, said, "//nas/usenet: the server refused a guest: it wants a user and password, or guests have no right on the share usenet. Give the volume credentials")
}

// testGuard has an application put a database on a share. It is told, and then does what it is told.
func (s *site) testGuard(t *testing.T) {
	s.healed(t)
	s.login(t)
	c := s.calls(t)
	c.create(t, "shelf", media("//nas/torrents/shelf"))
	c.create(t, "strict", media("//nas/torrents/shelf", "guard", "refuse"))
	folder := filepath.Join(s.lab.NAS().Share("torrents"), "shelf", "app")
	assert.NilError(t, os.Mkdir(folder, 0o755))
	s.ok(t, "sqlite3 /root/app.db 'create table t(n); insert into t values(42)'")
	s.ok(t, "docker run --rm --network none --volume shelf:/data --volume /root:/host:ro "+lab.StandIn+" cp /host/app.db /data/app/app.db")
	s.ok(t, "docker run --detach --name keeper --network none --volume shelf:/data "+lab.StandIn+" sh -c 'exec 3<>/data/app/app.db; sleep infinity'")

	const problem = "docker volume inspect --format '{{.Status.problem}}' shelf"
	s.eventually(t, problem+" | grep 'has the database app/app.db (SQLite) open in this volume'")
	said, _ := s.refused(t, run("shelf")+" true")
	has(t, said, "has the database app/app.db (SQLite) open", "docker volume create -d homelab-storage -o class=db shelf_db")
	said, _ = s.refused(t, run("strict")+" true")
	has(t, said, "app/app.db in it is a database (SQLite)", "guard=refuse is set")
	s.ok(t, "docker rm --force keeper")
	s.eventually(t, run("shelf")+" true")
	s.ok(t, "docker run --detach --name viewer --network none --volume shelf:/data "+lab.StandIn+" sleep infinity") // it is looked through while it is used
	warning := s.eventually(t, "docker volume inspect --format '{{range .Status.warnings}}{{println .}}{{end}}' shelf | grep 'app/app.db in this volume is a database (SQLite)'")
	s.ok(t, "docker rm --force viewer")

	commands := regexp.MustCompile("then `(.+)`, and mount").FindStringSubmatch(warning)
	assert.Equal(t, len(commands), 2, warning)
	s.ok(t, "docker tag "+lab.StandIn+" busybox && "+commands[1]+" && docker rmi busybox")
	assert.Equal(t, s.ok(t, run("shelf_db")+" sqlite3 /config/app.db 'select n from t'"), "42")
	assert.NilError(t, os.RemoveAll(folder))
	s.eventually(t, run("strict")+" true")
	s.ok(t, "docker volume rm shelf strict shelf_db && rm /root/app.db")
}
