//go:build lab && long

package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/lab"
)

// client is what the kernel knows of its SMB connections: when a container has not followed, only it can tell why.
const client = `docker inspect --format '{{json .State}}' writer0; docker logs --tail 5 writer0 2>&1; cat /proc/fs/cifs/DebugData; ss --tcp --numeric --info --options; cat /proc/keys; getent ahosts nas; dmesg | tail --lines 60`

// testMoved gives the NAS another address. New containers go there at once. One that runs follows when the kernel has noticed, since it
// can ask the host for the name (keyutils is installed).
func (s *site) testMoved(t *testing.T) {
	s.healed(t)
	s.login(t)
	ctx, c := t.Context(), s.calls(t)
	c.create(t, "moved", media("//nas/torrents"))
	w := s.writers(t, 1, "moved")
	w.grow(t, 1)
	address, err := s.lab.NAS().Move(ctx, s.node)
	assert.NilError(t, err)
	assert.NilError(t, s.node.Knows(ctx, "nas", address))
	began := time.Now()
	took, err := c.timed(ctx, "Mount", map[string]any{"Name": "moved", "ID": "new"})
	assert.NilError(t, err)
	t.Logf("measured: %-44s %6.2f s", "the first Mount after the move", took.Seconds())
	note := s.ok(t, "docker volume inspect --format '{{.Status.note}}' moved")
	has(t, note, "the server nas has moved from "+s.lab.NAS().Server()+" to "+address)
	lines := w.lines(t)
	err = s.becomes(ctx, func() error {
		if w.lines(t) == lines {
			return errors.New("the running container has not written any more")
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, s.ok(t, client))
	}
	t.Logf("measured: %-44s %6.1f s", "the running container followed after", time.Since(began).Seconds())
	w.grow(t, 5)
	assert.NilError(t, c.unmount(ctx, "moved", "new"))
	assert.NilError(t, s.node.Knows(ctx, "nas", s.lab.NAS().Server()))
	s.healed(t)
	w.end(t)
	s.eventually(t, "docker volume rm moved")
}

// lines is how many files the first container has written.
func (w *writers) lines(t *testing.T) int {
	t.Helper()
	count, err := strconv.Atoi(w.site.ok(t, "docker logs writer0 2>/dev/null | wc -l"))
	assert.NilError(t, err)
	return count
}

// writers are containers that write files to a share, read older ones again and compare their checksums, until they find a difference.
type writers struct {
	site  *site
	count int
}

// writesFiles says each file's name and checksum once it is written. What it reads again it compares; a difference ends it. An open(2)
// or stat(2) that is under way when the kernel gives a connection up fails with EAGAIN, ECONNABORTED or EBUSY before Linux 6.8, also on a
// hard mount (docs/facts.md): it says so, and tries again.
const writesFiles = `copy() {
	for try in $(seq 60); do
		cp "$1" "$2" 2>/tmp/error && return
		cat /tmp/error >&2
		grep -q -e 'Resource temporarily unavailable' -e 'Software caused connection abort' -e 'Device or resource busy' /tmp/error || return
		sleep 1
	done
	return 1
}
cd /data && mkdir -p $HOSTNAME && cd $HOSTNAME && number=0
while number=$((number + 1)); do
	head -c 65536 /dev/urandom >/tmp/block && sum=$(sha256sum </tmp/block) || exit 1
	copy /tmp/block file$number || exit 2
	copy file$number /tmp/block && [ "$(sha256sum </tmp/block)" = "$sum" ] || exit 3
	echo "$sum file$number" | tee -a /tmp/written
	line=$(sed -n $((number / 2 + 1))p /tmp/written)
	copy "${line##* }" /tmp/block && [ "$(sha256sum </tmp/block)" = "${line%% *}  -" ] || exit 4
	sleep 0.2
done`

func (s *site) writers(t *testing.T, count int, volume string) *writers {
	t.Helper()
	w := &writers{site: s, count: count}
	for i := range count {
		s.ok(t, fmt.Sprintf("docker run --detach --name writer%[1]d --hostname writer%[1]d --network none --volume %s:/data homelab-storage/standin:1 sh -c %s",
			i, volume, quote(writesFiles)))
	}
	return w
}

func (w *writers) each(script string) string {
	return fmt.Sprintf("for i in $(seq 0 %d); do %s || exit 1; done", w.count-1, script)
}

// grow waits until every container has written some more files.
func (w *writers) grow(t *testing.T, more int) {
	t.Helper()
	lines := strings.Fields(w.site.ok(t, w.each("docker logs writer$i 2>/dev/null | wc -l")))
	assert.Equal(t, len(lines), w.count)
	for i, before := range lines {
		w.site.eventually(t, fmt.Sprintf("[ $(docker logs writer%d 2>/dev/null | wc -l) -ge $((%s + %d)) ]", i, before, more))
	}
}

// end stops them, none of which may have ended by itself, and compares what the NAS has on its disk with what they say.
func (w *writers) end(t *testing.T) {
	t.Helper()
	assert.Equal(t, w.site.ok(t, w.each("docker inspect --format '{{.State.Running}} {{.RestartCount}}' writer$i")+" | sort --unique"), "true 0")
	w.site.ok(t, w.each("docker stop --time 1 writer$i >/dev/null"))
	files, interrupted := 0, 0
	for i := range w.count {
		for line := range strings.Lines(w.site.ok(t, fmt.Sprintf("docker logs writer%d", i))) {
			fields := strings.Fields(line) // checksum, "-", name
			content, err := os.ReadFile(filepath.Join(w.site.lab.NAS().Share("torrents"), fmt.Sprint("writer", i), fields[2]))
			assert.NilError(t, err)
			sum := sha256.Sum256(content)
			assert.Assert(t, bytes.Equal([]byte(hex.EncodeToString(sum[:])), []byte(fields[0])), "writer%d's %s", i, fields[2])
			files++
		}
		for line := range strings.Lines(w.site.ok(t, fmt.Sprintf("docker logs writer%d 2>&1 >/dev/null", i))) {
			t.Logf("writer%d: %s", i, line)
			interrupted++
		}
	}
	assert.Assert(t, interrupted <= w.count, "operations failed more often than once for each container")
	t.Logf("measured: %d files of %d containers are as they were written; %d operations were interrupted", files, w.count, interrupted)
	w.site.ok(t, w.each("docker rm writer$i >/dev/null"))
}

// outage is a time without the NAS's shares.
type outage struct {
	containers int
	length     time.Duration
	begin, end func(ctx context.Context) error
	// late says that a container with a restart policy is started meanwhile, which fails. When the NAS is back the plugin starts it.
	late bool
}

// without takes the shares away from containers that work with files, and gives them back after a time.
func (s *site) without(t *testing.T, o outage) {
	s.healed(t)
	s.login(t)
	ctx, c := t.Context(), s.calls(t)
	c.create(t, "outage", media("//nas/torrents"))
	w := s.writers(t, o.containers, "outage")
	w.grow(t, 1)
	if o.late { // the engine mounts a volume for copy-up when a container is created
		s.ok(t, "docker create --name late --restart always --network none --volume outage:/data "+lab.StandIn+" sleep infinity")
	}
	assert.NilError(t, o.begin(ctx))
	began := time.Now()
	if o.late {
		s.comesLate(t)
	}
	pause(t, time.Until(began.Add(o.length)))
	t.Logf("measured: %-44s %6.1f s", "without the NAS for", time.Since(began).Seconds())
	assert.NilError(t, o.end(ctx))
	began = time.Now()
	assert.NilError(t, s.becomes(ctx, func() error { return c.mount(ctx, "outage", "new") }))
	t.Logf("measured: %-44s %6.1f s", "a new Mount after", time.Since(began).Seconds())
	w.grow(t, 2)
	t.Logf("measured: %-44s %6.1f s", "every container has written more after", time.Since(began).Seconds())
	if o.late {
		s.eventually(t, "docker inspect --format '{{.State.Running}}' late | grep true")
		t.Logf("measured: %-44s %6.1f s", "the container that could not start runs after", time.Since(began).Seconds())
		s.ok(t, "docker exec late touch /data/late && docker rm --force late")
	}
	assert.NilError(t, c.unmount(ctx, "outage", "new"))
	w.end(t)
	c.remove(t, "outage")
}

// comesLate starts a container that nobody starts again when that has failed, but the plugin.
func (s *site) comesLate(t *testing.T) {
	t.Helper()
	pause(t, 3*time.Second) // for a second the client believes what it knows of a folder (acdirmax)
	said, _ := s.refused(t, "docker start late")
	has(t, said, `volume "outage": `)
	assert.Equal(t, s.ok(t, "docker inspect --format '{{.State.Status}}' late"), "created")
}
