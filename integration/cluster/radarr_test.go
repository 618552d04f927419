//go:build lab

package cluster

import (
	"fmt"
	"testing"

	"gotest.tools/v3/assert"
)

// restart is something that can be restarted under containers.
type restart struct {
	name string
	do   func(s *site, t *testing.T)
	// kept says that the containers must not notice.
	kept bool
}

// restarts are those of every run; TestRestarts has more.
func restarts() []restart {
	return []restart{
		{"plugin killed", (*site).killPlugin, true},
		{"plugin disabled and enabled", (*site).cyclePlugin, true},
		{"service updated", (*site).updateService, false},
		{"engine restarted", (*site).cycleEngine, false},
		{"power lost, the NAS back late", (*site).loseAllPower, false},
	}
}

func (s *site) testRadarr(t *testing.T) { s.radarr(t, restarts()) }

// radarr deploys a stack with both kinds of storage, and beside it a container without Swarm, and finds every row and every file again after
// each restart.
func (s *site) radarr(t *testing.T, restarts []restart) {
	t.Helper()
	s.healed(t)
	s.ok(t, "docker swarm init --advertise-addr "+s.node.Address())
	s.stack(t, "radarr", testdata(t, "radarr/docker-compose.yml"))
	measure(t, "deploy the stack", func() {
		s.ok(t, "cd /opt/radarr && set -a && . ./.env && docker stack deploy --resolve-image never --compose-file docker-compose.yml --compose-file lab.yml radarr")
	})
	radarr := &app{site: s, name: "radarr", service: "radarr_radarr", pool: "radarr", shares: []string{"torrents", "usenet"}}
	alone := s.plain(t, "alone")
	apps := []*app{radarr, alone}
	measure(t, "databases", func() {
		for _, a := range apps {
			a.create(t)
		}
	})
	for _, restart := range restarts {
		t.Run(restart.name, func(t *testing.T) { afterRestart(t, apps, restart) })
	}
	for _, a := range apps {
		a.add(t)
		a.check(t)
	}
	s.ok(t, "docker stack rm radarr && docker rm --force alone")
	s.eventually(t, "docker volume rm --force radarr_radarr_config radarr_torrents radarr_usenet alone")
	s.ok(t, "docker swarm leave --force")
}

// afterRestart writes, does something, and finds all that was ever written. That more can be written shows in the next one.
func afterRestart(t *testing.T, apps []*app, restart restart) {
	before := map[*app]string{}
	for _, a := range apps {
		a.add(t)
		before[a] = a.id(t)
	}
	measure(t, "restart", func() { restart.do(apps[0].site, t) })
	measure(t, "rows and files", func() {
		for _, a := range apps {
			a.check(t)
			if restart.kept {
				assert.Equal(t, a.id(t), before[a], "the container must not notice")
			}
		}
	})
}

const pluginPID = "pidof homelab-storage"

// killPlugin kills the plugin and returns when the engine has started it again.
func (s *site) killPlugin(t *testing.T) {
	t.Helper()
	old := s.ok(t, pluginPID)
	assert.NilError(t, s.node.KillPlugin(t.Context()))
	s.eventually(t, fmt.Sprintf("new=$(%s) && [ \"$new\" != %s ] && docker volume inspect alone", pluginPID, quote(old)))
}

// cyclePlugin is what an upgrade does around the change of the files.
func (s *site) cyclePlugin(t *testing.T) {
	t.Helper()
	s.ok(t, "docker plugin disable --force homelab-storage && docker plugin enable homelab-storage")
}

func (s *site) updateService(t *testing.T) {
	t.Helper()
	s.ok(t, "docker service update --force --detach radarr_radarr")
}

func (s *site) cycleEngine(t *testing.T) {
	t.Helper()
	assert.NilError(t, s.node.StopDocker(t.Context()))
	assert.NilError(t, s.node.StartDocker(t.Context()))
}

// loseAllPower pulls the plug of the house: the node is back before the NAS is. What a machine brings up at boot is the cluster stack and
// the engine; the session with the target, the pool and the shares are the plugin's work. The engine gives up a container whose volume
// is not there at its start, and the plugin starts it when it is (DESIGN D15).
func (s *site) loseAllPower(t *testing.T) {
	t.Helper()
	ctx, nas := t.Context(), s.lab.NAS()
	assert.NilError(t, nas.ISCSI.Stop(ctx))
	assert.NilError(t, nas.SMB.Stop(ctx))
	assert.NilError(t, s.node.Kill(ctx))
	assert.NilError(t, s.node.Boot(ctx))
	assert.NilError(t, s.start(t))
	s.eventually(t, "docker inspect --format '{{.State.Running}} {{.State.Error}}' alone | grep '^false .*volume \"alone\": pool media-apps'")
	s.ok(t, "docker volume ls --quiet | grep --line-regexp alone && docker homelab status | grep '^media-apps ' | grep --invert-match ' ok '")
	s.healed(t)
}
