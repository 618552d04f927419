//go:build lab

package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/integration/lab"
)

// canary is in every password of the test, beside what drivers that build texts for mount(2) and shells fall over (FACTS 6).
const canary = "Canary7q"

// search prints where the canary is. The pattern is in a file: the search itself is a process with arguments too.
const search = `set -u
printf 'Canary%%s' 7q >/root/pattern
look() { grep --recursive --files-with-matches --text --fixed-strings --file /root/pattern --exclude-dir credentials -- "$@" 2>/dev/null; }
said() { "${@:2}" 2>&1 | grep --text --quiet --fixed-strings --file /root/pattern && echo "$1"; }
look /proc/[0-9]*/cmdline /proc/[0-9]*/environ /proc/[0-9]*/mountinfo /proc/mounts
look %[1]s/.homelab-storage /var/lib/homelab-storage /run/homelab-storage /run/docker /sys/module/cifs /proc/fs/cifs
said "kernel log" dmesg
said status docker volume inspect --format '{{json .Status}}' $(docker volume ls --quiet)
said settings docker plugin inspect homelab-storage
for command in status 'trash ls' 'share ls' 'credentials ls' 'credentials test shelf'; do
	said "$command" docker homelab $command --format json
done
true
`

// longest is a password with everything in it that was ever a problem, as long as one may be: 128 bytes, which is what the kernel uses.
func longest() string {
	const begin, end = canary + `, and blanks, 100% %s $HOME ${X} "quoted" it's \back\ #hash =is Größe 日本…`, ` `
	return begin + strings.Repeat("x", credential.MaxPassword-len(begin)-len(end)) + end
}

// testSecrets uses passwords by every way, rightly and wrongly, and looks for them wherever a user of the machine may: at the end, when
// logins were refused, a password was changed, and a share is mounted with the old one and with the new one.
func (s *site) testSecrets(t *testing.T) {
	s.healed(t)
	nas, user := s.lab.NAS(), s.lab.NAS().Username()
	password := longest()
	assert.NilError(t, nas.SetPassword(t.Context(), password))
	create := "docker volume create --driver homelab-storage --opt type=cifs --opt device=//nas/"
	options := quote("username=" + user + ",password=" + strings.ReplaceAll(password, ",", ",,"))
	s.eventually(t, create+"torrents --opt o="+options+" inline")
	s.eventually(t, fmt.Sprintf("printf %%s %s | docker homelab credentials set shelf --all-nodes --username %s", quote(password), user))
	s.eventually(t, create+"usenet --opt credentials=shelf named")
	refused, _ := s.refused(t, create+"usenet --opt o="+quote("username="+user+",password="+canary)+" refused")
	assert.Assert(t, !strings.Contains(refused, canary), refused)
	s.eventually(t, "docker rm --force holds; docker run --detach --name holds --network none --volume inline:/config --volume named:/named "+lab.StandIn+" sleep 600")
	measure(t, "rotate", func() { s.rotated(t, user) })
	step(t, "search", func() { s.noneShows(t) })
	s.ok(t, "docker rm --force holds; docker volume rm inline named; docker homelab credentials rm shelf --all-nodes; rm /root/pattern")
}

// noneShows searches the machine and the engine's log, where the plugin's is. Every file of credentials is found: on the pool and in the
// node's copy, of one volume and by name.
func (s *site) noneShows(t *testing.T) {
	t.Helper()
	assert.Equal(t, s.ok(t, fmt.Sprintf(search, poolPath)), "", "a password shows")
	assert.Equal(t, s.ok(t, "grep --recursive --files-with-matches --text --fixed-strings --file /root/pattern "+poolPath+
		"/.homelab-storage/credentials /var/lib/homelab-storage/credentials | wc --lines"), "4", "each is on the pool and copied to the node")
	log, err := os.ReadFile(filepath.Join(s.folder(), "logs", s.node.Name()+".dockerd.log"))
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(string(log), "share mounted"), "the engine's log has the plugin's")
	assert.Assert(t, !strings.Contains(string(log), canary), "the log shows a password")
}

// rotated changes the password while a container runs: it goes on, a new one logs in with the new password, and nothing was made anew.
// No answer shows the one or the other.
func (s *site) rotated(t *testing.T, user string) {
	t.Helper()
	const changed = canary + "-new"
	assert.NilError(t, s.lab.NAS().SetPassword(t.Context(), changed))
	s.ok(t, "docker exec holds sh -c 'echo old >/named/file'")
	refused := s.eventually(t, "said=$(docker homelab credentials test shelf 2>&1); echo \"$said\"; echo \"$said\" | grep --quiet 'the server refused the user of the credentials'")
	text := s.ok(t, fmt.Sprintf("printf %%s %s | docker homelab credentials rotate shelf 2>&1", quote(changed)))
	assert.Assert(t, !strings.Contains(refused+text, canary), "%s\n%s", refused, text)
	assert.Assert(t, strings.Contains(text, "(user "+user+") for all nodes") && strings.Contains(text, "In use on this node with the old password: named."), text)
	assert.Equal(t, s.eventually(t, run("named")+" cat /config/file"), "old")
	assert.Assert(t, strings.Contains(s.ok(t, "docker volume inspect --format '{{.Status.note}}' named"), "were changed"))
	s.ok(t, "docker exec holds sh -c 'echo old again >/named/file'")
}
