//go:build lab && long

package cluster

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/lab"
)

var longOutage = flag.Duration("outage", 5*time.Minute, "how long TestShares takes the NAS away from containers")

// TestShares is what TestNode shows of shares in small, in the size of a large node: hundreds of volumes, twenty containers, minutes
// without a NAS. It ends with a Swarm service that has shares against the same one without.
func TestShares(t *testing.T) {
	s := newSite(t, lab.Options{Memory: 2048})
	t.Run("500 volumes", func(t *testing.T) { s.storm(t, 500, 100) })
	t.Run("stale", s.testStale)
	t.Run("guests", s.testGuests)
	t.Run("guard", s.testGuard)
	smb, node := s.lab.NAS().SMB, s.node
	t.Run("10 s without a NAS", func(t *testing.T) {
		s.without(t, outage{containers: 20, length: 10 * time.Second, begin: smb.Stop, end: smb.Start})
	})
	t.Run("long without a NAS", func(t *testing.T) {
		s.without(t, outage{containers: 20, length: *longOutage, begin: smb.Stop, end: smb.Start})
	})
	t.Run("1 min of dropped packets", func(t *testing.T) {
		s.without(t, outage{containers: 5, length: time.Minute, begin: node.CutSMB, end: node.RestoreSMB, late: true})
	})
	t.Run("a NAS that moved", s.testMoved)
	t.Run("Swarm", s.testServiceStart)
}

// startRatio is how much longer a service with two shares may take to start than one without volumes.
const startRatio = 1.2

// Debian's docker.io reads no Compose file without its version.
const stackFile = `version: "3.8"
services:
  app:
    image: homelab-storage/standin:1
    command: sleep infinity
    stop_grace_period: 1s
`

const stackShares = `    volumes: [films:/films, series:/series]
volumes:
  films: {driver: homelab-storage, driver_opts: {class: media, share: //nas/torrents, credentials: nas}}
  series: {driver: homelab-storage, driver_opts: {class: media, share: //nas/usenet, credentials: nas}}
`

// testServiceStart measures from `docker stack deploy` to Running, five times each, in turns, so that what slows the machine down slows
// both down.
func (s *site) testServiceStart(t *testing.T) {
	s.healed(t)
	s.login(t)
	s.ok(t, "docker swarm init --advertise-addr "+s.node.Address())
	taken := map[string]times{}
	for turn := range 6 {
		for name, file := range map[string]string{"without": stackFile, "with": stackFile + stackShares} {
			s.ok(t, fmt.Sprintf("printf %%s %s >/opt/stack.yml", quote(file)))
			began := time.Now()
			s.ok(t, "docker stack deploy --resolve-image never --compose-file /opt/stack.yml start")
			s.eventually(t, "docker service ps --format '{{.CurrentState}}' start_app | grep '^Running'")
			if turn > 0 { // the first one also makes the volumes and mounts the shares
				taken[name] = append(taken[name], time.Since(began))
			} else {
				t.Logf("the first start %s: %s", name, time.Since(began))
			}
			s.ok(t, "docker stack rm start")
			s.eventually(t, "[ -z \"$(docker ps --all --quiet --filter label=com.docker.stack.namespace=start)\" ] && ! docker network inspect start_default")
		}
	}
	ratio := float64(taken["with"].median()) / float64(taken["without"].median())
	t.Logf("measured: without volumes %s; with two shares %s; ratio %.2f", taken["without"], taken["with"], ratio)
	assert.Assert(t, ratio <= startRatio)
	s.ok(t, "docker swarm leave --force && docker volume rm start_films start_series")
}
