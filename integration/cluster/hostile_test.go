//go:build lab

package cluster

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// bait is a folder of the root disk that somebody would like a volume to reach.
const bait = "/root/bait"

// baited is everything that can be seen of the bait: to write, chown, move or delete something in it changes that.
const baited = "find " + bait + " -printf '%p %y %i %m %U:%G %T@ %C@ %s %l\\n' | sort"

// testHostileOptions has compose files name what is not theirs. What containers try themselves is in TestRestarts.
func (s *site) testHostileOptions(t *testing.T) {
	s.baited(t, func() { s.hostileOptions(t) })
}

// baited does something that must not reach the bait.
func (s *site) baited(t *testing.T, do func()) {
	t.Helper()
	s.healed(t)
	s.ok(t, "mkdir -p "+bait+"/inner && echo bait >"+bait+"/inner/bait && chmod 0755 "+bait+" "+bait+"/inner")
	before := s.ok(t, baited)
	do()
	assert.Equal(t, s.ok(t, baited), before, "the bait was touched")
	s.ok(t, "rm -r "+bait)
}

// hostileOptions are what a compose file would name to get at more than its own directory.
func (s *site) hostileOptions(t *testing.T) {
	create := func(options string) string {
		return "docker volume create --driver homelab-storage " + options + " evil"
	}
	for name, options := range map[string]string{
		"hostile-subdir-above":   "--opt class=db --opt subdir=../../etc",
		"hostile-subdir-private": "--opt class=db --opt subdir=.homelab-storage/catalog",
		"hostile-device-root":    "--opt type=none --opt o=bind --opt device=" + poolPath,
		"hostile-device-private": "--opt type=none --opt o=bind --opt device=" + poolPath + "/.homelab-storage",
		"hostile-device-above":   "--opt type=none --opt o=bind --opt device=" + poolPath + "/../../../etc",
		"hostile-device-outside": "--opt type=none --opt o=bind --opt device=/etc",
	} {
		t.Run(strings.TrimPrefix(name, "hostile-"), func(t *testing.T) {
			s.refuses(t, refusal{name: name, attempt: create(options)})
		})
	}
}
