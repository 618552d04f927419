package config

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"gotest.tools/v3/assert"
)

const onePool = "pools: [{name: apps, device: LABEL=apps, path: /mnt/apps}]\n"

// host is a host's root with a configuration file and a pool.
type host struct {
	root string
	do   func(ctx context.Context, key string, work func() error) error
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{root: t.TempDir(), do: func(_ context.Context, _ string, work func() error) error { return work() }}
	for _, folder := range []string{"etc/homelab-storage", "mnt/apps/.homelab-storage", "var/lib"} {
		assert.NilError(t, os.MkdirAll(h.path(folder), 0o755))
	}
	return h
}

func (h *host) path(name string) string { return filepath.Join(h.root, name) }

func (h *host) write(t *testing.T, name, text string) {
	t.Helper()
	assert.NilError(t, os.WriteFile(h.path(name), []byte(text), 0o600))
}

func (h *host) open(t *testing.T, pairs ...string) *Watcher {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	w, err := Open(t.Context(), Options{
		Environment: environ(append(pairs, "NODE_NAME=node-1")...), HostPath: h.path, Do: h.do,
		StateDir: "/var/lib/homelab-storage", Log: logrus.NewEntry(log),
	})
	assert.NilError(t, err)
	t.Cleanup(func() { assert.NilError(t, w.Close()) })
	return w
}

const (
	nodeName = "etc/homelab-storage/config.yaml"
	poolName = "mnt/apps/.homelab-storage/pool.json"
	sharedAt = "mnt/apps/.homelab-storage/config.yaml"
)

func TestNothingConfigured(t *testing.T) {
	w := newHost(t).open(t)
	assert.NilError(t, w.Errors())
	assert.Equal(t, w.Current().Node, "node-1")
	assert.Equal(t, w.Current().Defaults.UID, uint32(1000))
	assert.Equal(t, w.Process().LogFormat, "text")
}

// A change is picked up within seconds; a broken one leaves the last good configuration in force, also after a restart.
func TestReloadAndLastGood(t *testing.T) {
	h := newHost(t)
	h.write(t, nodeName, onePool)
	synctest.Test(t, func(t *testing.T) {
		w := h.open(t)
		ctx, stop := context.WithCancel(t.Context())
		go w.Run(ctx)
		assert.Equal(t, w.Current().Pools[0].Name, "apps")

		h.write(t, nodeName, strings.Replace(onePool, "name: apps", "name: more", 1))
		wait(t, 2*time.Second)
		assert.Equal(t, w.Current().Pools[0].Name, "more")

		h.write(t, nodeName, "pools: [{name: x}]\n")
		wait(t, 2*time.Second)
		assert.Equal(t, w.Current().Pools[0].Name, "more")
		assert.ErrorContains(t, w.Errors(), "is not in force, the last good one still is: 2 problems")
		stop()
		synctest.Wait()
	})
	again := h.open(t)
	assert.Equal(t, again.Current().Pools[0].Name, "more")
	assert.ErrorContains(t, again.Errors(), "config.yaml:1:9: pools[0]: has no device")

	h.write(t, nodeName, onePool)
	look(t, again, false)
	assert.NilError(t, again.Errors())
	assert.Equal(t, again.Current().Pools[0].Name, "apps")
}

// look is two checks: a change counts when it is found twice.
func look(t *testing.T, w *Watcher, sharedToo bool) {
	t.Helper()
	for range 2 {
		w.check(t.Context(), sharedToo)
	}
}

// Whoever writes the file may be in the middle of it: what it says then is another configuration, or none.
func TestFileThatIsBeingWritten(t *testing.T) {
	h := newHost(t)
	h.write(t, nodeName, onePool)
	w := h.open(t)
	for _, half := range []string{"", "pools:\n", "pools: []\n", onePool[:len(onePool)/2]} {
		h.write(t, nodeName, half)
		w.check(t.Context(), false)
		assert.Equal(t, len(w.Current().Pools), 1, half)
		assert.NilError(t, w.Errors(), half)
	}
	h.write(t, nodeName, onePool+"defaults: {uid: 7}")
	look(t, w, false)
	assert.Equal(t, w.Current().Defaults.UID, uint32(7))
}

func wait(t *testing.T, duration time.Duration) {
	t.Helper()
	timer := time.NewTimer(duration)
	<-timer.C
	synctest.Wait()
}

func TestFileThatIsGone(t *testing.T) {
	h := newHost(t)
	h.write(t, nodeName, onePool)
	w := h.open(t)
	assert.NilError(t, os.Remove(h.path(nodeName)))
	look(t, w, false)
	assert.ErrorContains(t, w.Errors(), "is gone: put it back, or make an empty one")
	assert.Equal(t, len(w.Current().Pools), 1)

	again := h.open(t)
	assert.ErrorContains(t, again.Errors(), "is gone")
	assert.Equal(t, len(again.Current().Pools), 1)

	h.write(t, nodeName, "")
	look(t, again, false)
	assert.NilError(t, again.Errors())
	assert.Equal(t, len(again.Current().Pools), 0)
}

func TestFileThatCannotBeRead(t *testing.T) {
	h := newHost(t)
	assert.NilError(t, os.Symlink("/etc/passwd", h.path(nodeName)))
	assert.ErrorContains(t, h.open(t).Errors(), "cannot be read: read "+h.path(nodeName)+": not a regular file")
	assert.ErrorContains(t, newHost(t).open(t, "CONFIG=/etc/other.yaml").Errors(), "/etc/other.yaml: does not exist: write it, or leave CONFIG (--config) out")
}

// A wrong setting keeps the last good configuration in force, whatever else changes.
func TestWrongSetting(t *testing.T) {
	h := newHost(t)
	h.write(t, nodeName, onePool)
	h.open(t)
	w := h.open(t, "LOG_LEVEL=loud")
	assert.ErrorContains(t, w.Errors(), `setting LOG_LEVEL: "loud" must be one of`)
	assert.Equal(t, len(w.Current().Pools), 1)
}

// The shared file counts while the pool is there, and its copy while it is away.
func TestSharedFile(t *testing.T) {
	h := newHost(t)
	h.write(t, nodeName, onePool)
	h.write(t, poolName, "{}")
	h.write(t, sharedAt, "shares: [{name: media, device: //nas/media}]")
	w := h.open(t)
	assert.NilError(t, w.Errors())
	assert.Equal(t, len(w.Current().Shares), 1)

	assert.NilError(t, os.Rename(h.path("mnt/apps"), h.path("mnt/away")))
	assert.NilError(t, os.Mkdir(h.path("mnt/apps"), 0o755))
	look(t, w, true)
	assert.Equal(t, len(w.Current().Shares), 1, "a pool that is away took its shares along")
	assert.Equal(t, len(h.open(t).Current().Shares), 1, "a restart without the pool lost the shares")

	assert.NilError(t, os.Remove(h.path("mnt/apps")))
	assert.NilError(t, os.Rename(h.path("mnt/away"), h.path("mnt/apps")))
	assert.NilError(t, os.Remove(h.path(sharedAt)))
	look(t, w, true)
	assert.Equal(t, len(w.Current().Shares), 0, "a removed shared file still counts")
	kept, err := os.ReadFile(h.path("var/lib/homelab-storage/config.shared.gone.yaml"))
	assert.NilError(t, err)
	assert.Equal(t, string(kept), "shares: [{name: media, device: //nas/media}]", "its last text")
}

// A hung pool is asked on its own thread; the node's file is followed meanwhile.
func TestHungPool(t *testing.T) {
	h := newHost(t)
	h.write(t, nodeName, onePool)
	h.do = func(ctx context.Context, _ string, _ func() error) error {
		<-ctx.Done()
		return errors.New("stuck")
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		w := h.open(t)
		assert.Assert(t, time.Since(began) <= sharedWait)
		h.write(t, nodeName, onePool+"defaults: {uid: 7}")
		look(t, w, true)
		assert.Equal(t, w.Current().Defaults.UID, uint32(7))
	})
}

func TestStateFolderThatIsAFile(t *testing.T) {
	h := newHost(t)
	h.write(t, "var/lib/homelab-storage", "")
	_, err := Open(t.Context(), Options{Environment: environ(), HostPath: h.path, Do: h.do, StateDir: "/var/lib/homelab-storage", Log: logrus.NewEntry(logrus.New())})
	assert.ErrorContains(t, err, "homelab-storage")
}
