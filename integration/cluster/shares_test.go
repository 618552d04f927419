//go:build lab

package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"gotest.tools/v3/assert"
)

// kernelCounters are what the kernel's SMB client has done: sessions, shares and connections to them. Reads and writes are left out.
const kernelCounters = "grep -E '^CIFS Session|^Share |^[0-9]+\\)|^Negotiates|^SessionSetups|^TreeConnects' /proc/fs/cifs/Stats"

// account is the name under which the NAS's account is stored.
const account = "nas"

// login stores the NAS's account.
func (s *site) login(t *testing.T) {
	t.Helper()
	s.ok(t, fmt.Sprintf("printf %%s %s | docker homelab credentials set %s --username %s", quote(password), account, s.lab.NAS().Username()))
}

func media(device string, more ...string) map[string]string {
	options := map[string]string{"class": "media", "share": device, "credentials": account}
	for i := 0; i+1 < len(more); i += 2 {
		options[more[i]] = more[i+1]
	}
	return options
}

// testSecondStart starts a container with two shares twice. The second time the kernel's SMB client has nothing to do but the files.
func (s *site) testSecondStart(t *testing.T) {
	s.healed(t)
	s.login(t)
	c := s.calls(t)
	c.create(t, "one", media("//nas/torrents/one"))
	c.create(t, "two", media("//nas/usenet/two", "uid", "33", "mode", "0750"))
	start := "docker run --rm --network none --volume one:/data --volume two:/config homelab-storage/standin:1 sh -c 'echo here >/data/file; cat /data/file'"
	assert.Equal(t, s.ok(t, start), "here")
	before := s.ok(t, kernelCounters)
	step(t, "the second start", func() { assert.Equal(t, s.ok(t, start), "here") })
	assert.Equal(t, s.ok(t, kernelCounters), before)
	assert.Assert(t, strings.Contains(before, "CIFS Session: 1\n"), "one session for two shares, owners and modes:\n%s", before)
	// A plugin that was killed has its shares again before anybody asks.
	s.ok(t, "kill -KILL $("+pluginPID+")")
	s.eventually(t, "[ $(docker homelab share ls | grep -c ' ok ') = 2 ]")
	warm := s.ok(t, kernelCounters)
	assert.Equal(t, s.ok(t, start), "here")
	assert.Equal(t, s.ok(t, kernelCounters), warm)
	s.calls(t).remove(t, "one", "two")
}

// storm makes volumes on two shares and mounts them all, many at once.
func (s *site) storm(t *testing.T, volumes, atOnce int) {
	s.healed(t)
	s.login(t)
	c := s.calls(t)
	names := make([]string, volumes)
	step(t, fmt.Sprintf("create %d volumes", volumes), func() {
		for i := range names {
			names[i] = fmt.Sprintf("storm%d", i)
			device := []string{"//nas/torrents/storm", "//nas/usenet/storm"}[i%2]
			c.create(t, names[i], media(fmt.Sprintf("%s%d", device, i)))
		}
	})
	before := s.ok(t, kernelCounters)
	each := func(work func(ctx context.Context, name string) error) times {
		taken := make(times, volumes)
		var group errgroup.Group
		group.SetLimit(atOnce)
		for i, name := range names {
			group.Go(func() error {
				began := time.Now()
				err := work(t.Context(), name)
				taken[i] = time.Since(began)
				return err
			})
		}
		assert.NilError(t, group.Wait())
		return taken
	}
	stormed := each(func(ctx context.Context, name string) error { return c.mount(ctx, name, "a") })
	t.Logf("%d Mounts, %d at once: %s", volumes, atOnce, stormed)
	assert.Equal(t, s.ok(t, "ls -d /var/lib/docker/plugins/*/propagated-mount/storm* | wc -l"), fmt.Sprint(volumes))
	var alone times
	for i := range 20 {
		name := names[i%volumes]
		took, err := c.timed(t.Context(), "Mount", map[string]any{"Name": name, "ID": fmt.Sprint("b", i)})
		assert.NilError(t, err)
		alone = append(alone, took)
		assert.NilError(t, c.unmount(t.Context(), name, fmt.Sprint("b", i)))
	}
	t.Logf("a Mount of a volume in use, one after another: %s", alone)
	each(func(ctx context.Context, name string) error { return c.unmount(ctx, name, "a") })
	alone = nil
	for i := range 20 {
		took, err := c.timed(t.Context(), "Mount", map[string]any{"Name": names[i%volumes], "ID": "c"})
		assert.NilError(t, err)
		alone = append(alone, took)
		assert.NilError(t, c.unmount(t.Context(), names[i%volumes], "c"))
	}
	t.Logf("a Mount, one after another: %s", alone)
	assert.Equal(t, s.ok(t, kernelCounters), before, "no mount of the kernel but the two that Create made")
	c.remove(t, names...)
}

// testStale has the server make a share anew under a container. New containers work at once; the old one keeps what it has.
func (s *site) testStale(t *testing.T) {
	s.healed(t)
	s.login(t)
	nas := s.lab.NAS()
	s.calls(t).create(t, "stale", media("//nas/usenet"))
	s.ok(t, "docker run --detach --name old --network none --volume stale:/data homelab-storage/standin:1 sleep infinity")
	assert.NilError(t, os.Rename(nas.Share("usenet"), nas.Share("usenet")+".old"))
	assert.NilError(t, os.Mkdir(nas.Share("usenet"), 0o755))
	began := time.Now()
	s.eventually(t, "docker run --rm --network none --volume stale:/data homelab-storage/standin:1 touch /data/fresh")
	t.Logf("%-44s %6.1f s", "a new container on the new share after", time.Since(began).Seconds())
	_, err := os.Stat(filepath.Join(nas.Share("usenet"), "fresh"))
	assert.NilError(t, err)
	t.Logf("the old container: %s", s.ok(t, "docker exec old ls -la /data 2>&1 | tail --lines 2; docker homelab share ls"))
	assert.Equal(t, s.ok(t, "docker inspect --format '{{.State.Running}}' old"), "true")
	s.ok(t, "docker rm --force old && docker volume rm stale")
	assert.NilError(t, os.RemoveAll(nas.Share("usenet")+".old"))
}
