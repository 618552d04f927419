//go:build lab

package cluster

import (
	"context"
	"fmt"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/lab"
)

// sweepEvery is how often the plugin looks for references of nobody (driver, sweepEvery).
const sweepEvery = 30 * time.Second

// uses is the number of a volume's references on the node, and held says whether the node holds its directory.
func (s *site) uses(t *testing.T, volume string) string {
	t.Helper()
	return s.ok(t, fmt.Sprintf("docker volume inspect --format '{{index .Status \"uses_on_this_node\"}}' %s", volume))
}

func held(volume string) string {
	return "docker homelab holder ls | grep -w '" + volume + "'"
}

// recorded prints the directories that a node holds, as the pool itself has it (driver/holder, record.json): what every other node goes by.
func recorded(node string) string {
	return fmt.Sprintf(`cd %s/.homelab-storage/holders && { grep --recursive --files-with-matches --fixed-strings '"name": "%s"' . |
	xargs --no-run-if-empty sed --quiet 's/^  "subdir": "\(.*\)",$/\1/p' | sort; }`, poolPath, node)
}

// mounted finds a volume's mount in a process's table; the process is a word of shell.
func mounted(volume, process string) string {
	return fmt.Sprintf("grep '/propagated-mount/%s ' /proc/%s/mountinfo", volume, process)
}

// testCopies kills the engine together with one of two containers, so that no Unmount is ever sent for it, while a service
// with a mount namespace of its own and a container with the host's root have copies of both mounts (DESIGN D11).
func (s *site) testCopies(t *testing.T) {
	s.healed(t)
	// With live-restore the engine leaves containers alone when it starts again, as an upgrade of it wants.
	s.ok(t, `mkdir -p /etc/docker && echo '{"live-restore": true}' >/etc/docker/daemon.json && systemctl reload docker.service`)
	s.eventually(t, "docker info --format '{{.LiveRestoreEnabled}}' | grep true")
	for _, name := range []string{"lives", "dies"} {
		s.ok(t, "docker volume create --driver homelab-storage --opt class=db "+name)
		s.ok(t, fmt.Sprintf("docker run --detach --name %[1]s --network none --volume %[1]s:/config %[2]s", name, lab.StandIn))
		s.ok(t, "docker exec "+name+" sh -c 'echo before >/config/file'")
	}
	s.ok(t, "systemd-run --unit private --property PrivateTmp=yes sleep infinity")
	s.ok(t, "docker run --detach --name host --network none --volume /:/host "+lab.StandIn)
	service, container := "$(systemctl show --property MainPID --value private)", "$(docker inspect --format '{{.State.Pid}}' host)"
	for _, process := range []string{service, container} {
		s.ok(t, mounted("dies", process)) // else this test shows nothing
		s.ok(t, mounted("lives", process))
	}
	s.ok(t, held("dies"))

	s.ok(t, `container=$(docker inspect --format '{{.State.Pid}}' dies) && kill -KILL $(pidof dockerd) $container`)
	s.eventually(t, "docker info")
	assert.Equal(t, s.ok(t, "docker inspect --format '{{.State.Running}}' lives dies host"), "true\nfalse\ntrue")
	measure(t, "the dead container's reference is reaped", func() {
		s.eventually(t, fmt.Sprintf("! { %s; } && ! %s", held("dies"), mounted("dies", "1")))
	})
	assert.Equal(t, s.uses(t, "lives"), "1")
	s.ok(t, held("lives"))
	assert.Equal(t, s.ok(t, "docker exec lives sh -c 'echo after >>/config/file && cat /config/file' && cat "+poolPath+"/lives/file"),
		"before\nafter\nbefore\nafter")
	// What was reaped can be used again, and the service that still lives is in nobody's way.
	assert.Equal(t, s.ok(t, "docker start dies >/dev/null && docker exec dies cat /config/file"), "before")
	assert.Equal(t, s.uses(t, "dies"), "1")

	s.ok(t, "docker rm --force lives dies host && systemctl stop private")
	measure(t, "the last references end", func() {
		s.eventually(t, fmt.Sprintf("! { %s; } && ! { %s; } && ! { %s; } && ! { %s; }", held("lives"), held("dies"), mounted("lives", "1"), mounted("dies", "1")))
	})
	s.ok(t, "docker volume rm lives dies")
}

// testInFlight stops the engine between the plugin's answer to a Mount and the container's bind, for longer than the plugin
// waits between its sweeps: nobody seems to use the volume then, and it must stay.
func (s *site) testInFlight(t *testing.T) {
	s.healed(t)
	s.ok(t, "docker volume create --driver homelab-storage --opt class=db flight")
	id := s.ok(t, "docker create --network none --volume flight:/config:nocopy "+lab.StandIn)
	s.ok(t, fmt.Sprintf(`docker start %s >/run/started 2>&1 &
until %s >/dev/null; do :; done
kill -STOP $(pidof dockerd)`, id, mounted("flight", "1")))
	t.Cleanup(func() {
		_, err := s.node.Exec(context.WithoutCancel(t.Context()), "kill -CONT $(pidof dockerd)") // harmless when it runs
		assert.Check(t, err)
	})
	// The brackets keep the search from finding itself.
	starting := fmt.Sprintf("pgrep --full '[c]ontainerd-shim.*%s'", id)
	s.ok(t, "! "+starting) // else the engine was stopped too late, and this test shows nothing
	select {
	case <-time.After(sweepEvery + 10*time.Second):
	case <-t.Context().Done():
	}
	s.ok(t, mounted("flight", "1"))
	s.ok(t, "kill -CONT $(pidof dockerd)")
	s.eventually(t, starting)
	s.eventually(t, "docker exec "+id+" sh -c 'echo landed >/config/file'")
	assert.Equal(t, s.ok(t, "cat "+poolPath+"/flight/file"), "landed")
	assert.Equal(t, s.uses(t, "flight"), "1")
	s.ok(t, "docker rm --force "+id+" && docker volume rm flight")
}
