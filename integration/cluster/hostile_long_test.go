//go:build lab && long

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// testHostileContainers has containers try to get out of their volume's directory, and fill the pool.
func (s *site) testHostileContainers(t *testing.T) {
	s.baited(t, func() {
		t.Run("planted links", s.plantedLinks)
		t.Run("swapped directories", s.swappedDirectories)
		t.Run("full", s.fullPool)
	})
}

// plantedLinks are links that lead out of a volume, in which the plugin looks for databases, and which it moves and deletes.
func (s *site) plantedLinks(t *testing.T) {
	s.ok(t, "docker volume create --driver homelab-storage --opt class=db secret && "+run("secret")+" sh -c 'echo secret >/config/file'")
	s.ok(t, "docker volume create --driver homelab-storage --opt class=config linked")
	s.ok(t, run("linked")+" sh -c "+quote("ln -s "+bait+"/inner /config/inner; ln -s ../secret /config/other; ln -s "+poolPath+"/secret/file /config/app.db; "+
		"ln -s "+poolPath+"/.homelab-storage /config/private; ln -s / /config/root"))
	// A container follows them in its own tree, where they lead to nothing.
	said, _ := s.refused(t, run("linked")+" cat /config/inner/bait /config/other/file /config/app.db")
	assert.Assert(t, !strings.Contains(said, "secret\n") && strings.Contains(said, "No such file"), "%s", said)
	s.ok(t, "docker volume rm linked && docker homelab trash empty $(docker homelab trash ls | awk '/linked/ {print $1}')")
	assert.Equal(t, s.ok(t, run("secret")+" cat /config/file"), "secret")
	s.ok(t, "docker volume rm secret")
}

// swaps exchanges a directory on the way to a volume's with a link that leads to the bait, again and again. What a Create makes in
// between is in its way, and goes.
const swaps = `mkdir -p ` + poolPath + `/swapped/deep/inner && cd ` + poolPath + `/swapped && chmod -R 0777 . && while [ ! -e /run/swapped ]; do
	mv -T deep aside; ln -sT ` + bait + ` deep || { rm -rf deep; ln -sT ` + bait + ` deep; }
	rm deep || rm -rf deep; mv -T aside deep; sleep 0.2
done; cd / && rm -r ` + poolPath + `/swapped`

// swappedDirectories makes and mounts a volume while a directory on its way is a link every other moment. Whatever succeeds is below
// the pool.
func (s *site) swappedDirectories(t *testing.T) {
	const enough = 3
	call := s.caller(t)
	s.ok(t, "rm -f /run/swapped; ("+swaps+") >/run/swaps 2>&1 &")
	reached, refused := 0, 0
	for began := time.Now(); (reached < enough || refused < enough) && time.Since(began) < patience; {
		if call("Create", "swap", map[string]string{"class": "db", "subdir": "swapped/deep/inner"}) != "" {
			refused++
			continue
		}
		if text := call("Mount", "swap", nil); text != "" {
			refused++
		} else {
			reached++
			// A mount that is not there is not below the pool, and a folder that cannot be listed not empty of bait.
			s.ok(t, mounted("swap", "self")+" | awk '$4 !~ \"^/swapped/\" {bad = 1} END {exit bad || !NR}'")
			s.ok(t, "found=$(ls -A /var/lib/docker/plugins/*/propagated-mount/swap) && case $found in *bait*) exit 1 ;; esac")
			assert.Equal(t, call("Unmount", "swap", nil), "")
		}
		for text := "?"; text != ""; pause(t, 100*time.Millisecond) { // where its directory is now, the next try finds it
			text = call("Remove", "swap", nil)
			assert.Assert(t, time.Since(began) < patience, "%s", text)
		}
	}
	s.eventually(t, "touch /run/swapped && [ ! -e "+poolPath+"/swapped ]")
	t.Logf("measured: %d times mounted below the pool, %d times refused", reached, refused)
	assert.Assert(t, reached >= enough && refused >= enough, "the race was not run")
}

// fullPool takes all the room of the pool, in a volume. Who reads goes on, and what is elsewhere; who needs room is told so; and when
// there is room again, everything works by itself.
func (s *site) fullPool(t *testing.T) {
	s.ok(t, s.share("films", "torrents", password))
	for _, name := range []string{"filler", "beside", "idle"} {
		s.ok(t, "docker volume create --driver homelab-storage --opt class=db "+name)
		s.ok(t, run(name)+" sh -c 'echo kept >/config/file'")
	}
	for _, name := range []string{"filler", "beside"} {
		s.ok(t, strings.Replace(run(name), "docker run --rm", "docker run --detach --name "+name, 1)+" sleep infinity")
	}
	measure(t, "fill the pool", func() { assert.NilError(t, s.node.FillDisk(t.Context(), poolPath+"/filler")) })
	said, _ := s.refused(t, "docker exec filler dd if=/dev/zero of=/config/more bs=1M count=1")
	has(t, said, "No space left on device")
	assert.Equal(t, s.ok(t, "docker exec beside cat /config/file"), "kept")
	s.ok(t, "docker volume ls --quiet | grep --line-regexp idle && docker volume inspect beside")
	s.ok(t, run("films")+" sh -c 'echo kept >/config/full && rm /config/full'")
	for _, attempt := range []string{"docker volume create --driver homelab-storage --opt class=db another", run("idle") + " cat /config/file"} {
		result, err := s.node.Exec(t.Context(), attempt)
		assert.NilError(t, err)
		t.Logf("%s: %d %s%s", attempt, result.Code, result.Stdout, result.Stderr)
		assert.Assert(t, result.Code == 0 || strings.Contains(result.Stderr, "no space left on device"), "%s", result.Stderr)
	}
	assert.NilError(t, s.node.FreeDisk(t.Context(), poolPath+"/filler"))
	s.ok(t, "docker exec filler rm -f /config/more")
	s.eventually(t, "["+" \"$("+run("idle")+" cat /config/file)\" = kept ]")
	s.ok(t, "docker exec beside sh -c 'echo more >>/config/file' && docker rm --force filler beside")
	s.eventually(t, "docker volume rm --force films filler beside idle another")
}

// caller posts to the plugin's socket, as the engine does, and returns the error's text.
func (s *site) caller(t *testing.T) func(call, volume string, options map[string]string) string {
	t.Helper()
	socket := s.ok(t, "ls /run/docker/plugins/*/homelab-storage.sock")
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return s.node.Dial(ctx, "unix", socket)
	}}}
	t.Cleanup(client.CloseIdleConnections)
	return func(call, volume string, options map[string]string) string {
		t.Helper()
		body, err := json.Marshal(map[string]any{"Name": volume, "ID": "hostile", "Opts": options})
		assert.NilError(t, err)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://plugin/VolumeDriver."+call, bytes.NewReader(body))
		assert.NilError(t, err)
		response, err := client.Do(request)
		assert.NilError(t, err)
		var answer struct{ Err string }
		assert.NilError(t, json.NewDecoder(response.Body).Decode(&answer))
		assert.NilError(t, response.Body.Close())
		return answer.Err
	}
}
