//go:build lab

package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/lab"
)

// app is a container with a database in /config, when it has a pool's directory, and a file for each row on each of its shares.
// Everything is done as uid 1000, as the applications' images do.
type app struct {
	site *site
	// name begins the names of its files, since shares are for many.
	name string
	// service is the Swarm service that the container is of, which has a new one after each start; without one it has the app's name.
	service string
	// pool is the directory of /config below the pool.
	pool string
	// shares are the shares of the NAS that the container has below /data.
	shares []string
	rows   int
}

// inside runs a script in the container, as soon as one runs, and returns what it printed.
func (a *app) inside(t *testing.T, script string) string {
	t.Helper()
	return a.site.until(t, script, func(ctx context.Context) (lab.Result, error) {
		container, err := a.running(ctx)
		if err != nil {
			return lab.Result{}, err
		}
		return a.site.node.Exec(ctx, container.Inside(1000, script))
	})
}

func (a *app) running(ctx context.Context) (lab.Container, error) {
	if a.service != "" {
		return a.site.node.RunningContainer(ctx, "label", "com.docker.swarm.service.name="+a.service)
	}
	return a.site.node.RunningContainer(ctx, "name", "^/"+a.name+"$")
}

// create makes the table.
func (a *app) create(t *testing.T) {
	t.Helper()
	if a.pool != "" {
		a.inside(t, `sqlite3 /config/app.db "pragma journal_mode=wal; create table if not exists movies(id integer primary key, title text)"`)
	}
}

// add commits a row and writes its files. It may be repeated: the container may end in the middle of it.
func (a *app) add(t *testing.T) {
	t.Helper()
	a.rows++
	script := "true"
	if a.pool != "" {
		script = fmt.Sprintf(`sqlite3 /config/app.db "insert or ignore into movies values(%[1]d, 'movie %[1]d')"`, a.rows)
	}
	for _, share := range a.shares {
		script += fmt.Sprintf("; echo %s >/data/%s/%s", quote(a.content(a.rows, share)), share, a.file(a.rows))
	}
	a.inside(t, script)
}

func (a *app) file(row int) string { return fmt.Sprintf("%s-%d.mkv", a.name, row) }

func (a *app) content(row int, share string) string {
	return fmt.Sprintf("movie %d of %s on %s", row, a.name, share)
}

// query reads a database, whose folder is filled in.
const query = "sqlite3 %s/app.db 'pragma integrity_check; select id, title from movies order by id'"

// check waits until the container is there, and finds every row and every file: as the container sees them, on the pool as the
// host sees it, and on the NAS's disk. An exec is dear on an emulated machine, so it is one.
func (a *app) check(t *testing.T) {
	t.Helper()
	var script, want []string
	if a.pool != "" {
		rows := "ok"
		for row := range a.rows {
			rows += fmt.Sprintf("\n%d|movie %d", row+1, row+1)
		}
		script, want = append(script, fmt.Sprintf(query, "/config")), append(want, rows)
	}
	for _, share := range a.shares {
		script = append(script, "cd /data/"+share)
		for row := range a.rows {
			script, want = append(script, "cat "+a.file(row+1)), append(want, a.content(row+1, share))
		}
	}
	assert.Equal(t, a.inside(t, strings.Join(script, "; ")), strings.Join(want, "\n"))
	a.checkBehind(t, want)
}

// checkBehind looks at the same data where the container is not in between.
func (a *app) checkBehind(t *testing.T, want []string) {
	t.Helper()
	if a.pool != "" {
		assert.Equal(t, a.site.ok(t, fmt.Sprintf(query, poolPath+"/"+a.pool)), want[0], "on the pool, as the host sees it")
	}
	for _, share := range a.shares {
		for row := range a.rows {
			content, err := os.ReadFile(filepath.Join(a.site.lab.NAS().Share(share), a.file(row+1)))
			assert.NilError(t, err)
			assert.Equal(t, string(content), a.content(row+1, share)+"\n", "on the NAS's disk")
		}
	}
}

// id is the running container's.
func (a *app) id(t *testing.T) string {
	t.Helper()
	return a.site.until(t, "the container of "+a.name, func(ctx context.Context) (lab.Result, error) {
		container, err := a.running(ctx)
		return lab.Result{Stdout: container.ID}, err
	})
}

// service is the word of shell for the container of a Swarm service.
func service(name string) string {
	return "$(docker ps --quiet --filter label=com.docker.swarm.service.name=" + name + " | head --lines 1)"
}

// testdata reads a file of integration/testdata.
func testdata(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "testdata", name))
	assert.NilError(t, err)
	return string(content)
}

// stack gives the node a compose file and the environment that it wants, as /opt/<name>/{docker-compose.yml,.env}.
func (s *site) stack(t *testing.T, name, compose string) {
	t.Helper()
	nas := s.lab.NAS()
	environment := fmt.Sprintf("SMB_USERNAME=%s\nSMB_PASSWORD=%s\nNAS_SERVER=%s\nTZ=UTC\n", nas.Username(), nas.Password(), nas.Server())
	assert.NilError(t, s.node.Put(t.Context(), strings.NewReader(compose), "/opt/"+name+"/docker-compose.yml", 0o644))
	assert.NilError(t, s.node.Put(t.Context(), strings.NewReader(testdata(t, "radarr/lab.yml")), "/opt/"+name+"/lab.yml", 0o644))
	assert.NilError(t, s.node.Put(t.Context(), strings.NewReader(environment), "/opt/"+name+"/.env", 0o600))
}

// plain starts a container with a database, without Swarm. An engine that was killed does not start containers of the policy
// unless-stopped again: it ends them when it starts (moby, daemon/kill.go), and takes that for a person's stop.
func (s *site) plain(t *testing.T, name string) *app {
	t.Helper()
	s.ok(t, "docker volume create --driver homelab-storage --opt class=db "+name)
	// The first container's image changes this: the engine copies what it has at the mountpoint, with owner and mode.
	assert.Equal(t, s.ok(t, "stat --format '%u:%g %a' "+poolPath+"/"+name), "1000:1000 770")
	s.ok(t, fmt.Sprintf("docker run --detach --name %[1]s --network none --restart always --volume %[1]s:/config %[2]s", name, lab.StandIn))
	return &app{site: s, name: name, pool: name}
}

// quote makes one word of shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
