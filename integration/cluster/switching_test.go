//go:build lab

package cluster

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// testSwitching takes a stack from driver local to homelab-storage and back with the commands of docs/switching.md, and finds
// all rows and files after each step. On the way it forgets step 3, as people do.
func (s *site) testSwitching(t *testing.T) {
	s.healed(t)
	guide := readPage(t, "switching.md")
	there := guide.blocks(t, "To homelab-storage", "sh", 6)
	back := guide.blocks(t, "Back to driver local", "sh", 4)
	conflict := strings.TrimSpace(guide.blocks(t, "When a volume was forgotten", "text", 1)[0])
	apps := s.deployLocal(t)

	t.Run("to homelab-storage", func(t *testing.T) {
		look, stop, remove, change, deploy, show := there[0], there[1], there[2], there[3], there[4], there[5]
		assert.Equal(t, strings.Count(s.ok(t, look), "device:"), 4)
		s.ok(t, stop)
		s.ok(t, change)
		s.ok(t, deploy)
		s.eventually(t, "docker service ps --no-trunc --format '{{.Error}}' media_radarr | grep --fixed-strings "+quote(conflict))
		s.ok(t, remove)
		measure(t, "the services start by themselves", func() { s.moved(t, apps) })
		assert.Equal(t, strings.Count(s.ok(t, show), "media_"), 4)
	})
	t.Run("back to local", func(t *testing.T) {
		stop, look, remove, changeAndDeploy := back[0], back[1], back[2], back[3]
		s.ok(t, stop)
		assert.Equal(t, s.ok(t, look), "media_sonarr_config true\nmedia_radarr_config true")
		s.ok(t, remove)
		s.ok(t, changeAndDeploy)
		s.moved(t, apps)
		assert.Equal(t, s.ok(t, "docker volume ls --quiet --filter driver=homelab-storage:latest"), "")
		assert.Equal(t, s.ok(t, "docker homelab trash ls | grep media_ || true"), "", "adopted directories stay where they are")
	})
	s.ok(t, there[1])
	s.ok(t, there[2])
	s.ok(t, "docker swarm leave --force")
}

// deployLocal runs the stack as it is before the switch: the pool mounted by the host, everything by driver local.
func (s *site) deployLocal(t *testing.T) []*app {
	t.Helper()
	s.ok(t, `echo '{"live-restore": false}' >/etc/docker/daemon.json && systemctl reload docker.service`) // Swarm and live-restore exclude each other
	s.eventually(t, "docker info --format '{{.LiveRestoreEnabled}}' | grep false")
	s.ok(t, "docker swarm init --advertise-addr "+s.node.Address())
	s.eventually(t, "mountpoint --quiet "+poolPath) // the plugin brings it up at its start; a second mount of it would do harm
	s.ok(t, "cd "+poolPath+" && mkdir sonarr radarr && chown 1000:1000 sonarr radarr")
	s.stack(t, "media", testdata(t, "switching/docker-compose.yml"))
	s.ok(t, "cd /opt/media && set -a && . ./.env && docker stack deploy --compose-file docker-compose.yml media")
	shares := []string{"torrents", "usenet"}
	apps := []*app{
		{site: s, name: "sonarr", service: "media_sonarr", pool: "sonarr"},
		{site: s, name: "emby", service: "media_emby", shares: shares},
		{site: s, name: "radarr", service: "media_radarr", pool: "radarr", shares: shares},
	}
	step(t, "the stack on driver local", func() {
		for _, a := range apps {
			a.create(t)
			a.add(t)
		}
	})
	return apps
}

// moved finds everything that was written before, writes more, and finds the directories' owner and mode as they were.
func (s *site) moved(t *testing.T, apps []*app) {
	t.Helper()
	for _, a := range apps {
		a.check(t)
		a.add(t)
	}
	// The image's mode: the engine gave it to the empty directories at the very first start, on driver local.
	assert.Equal(t, s.ok(t, "cd "+poolPath+" && stat --format '%u:%g %a' sonarr radarr"), "1000:1000 755\n1000:1000 755")
}
