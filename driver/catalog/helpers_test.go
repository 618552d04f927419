package catalog_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// doer is the guard of calls that hang, with a gate that makes them hang.
type doer struct {
	guard mounter.Guard
	mu    sync.Mutex
	gate  chan struct{} // work waits for it when it is set
}

func (d *doer) Do(ctx context.Context, key string, work func() error) error {
	d.mu.Lock()
	gate := d.gate
	d.mu.Unlock()
	return d.guard.Do(ctx, key, func() error {
		if gate != nil {
			<-gate
		}
		return work()
	}, nil)
}

func quiet() *logrus.Entry {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return logrus.NewEntry(log)
}

// node is one node's catalog in a test.
type node struct {
	*catalog.Catalog
	doer   *doer
	mirror string
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// options are those of most tests: without fsync, which no test of behaviour can see.
func options(mirror string, d *doer) catalog.Options {
	volatile := []durable.Option{durable.Volatile()}
	return catalog.Options{
		Name: "cluster", Mirror: mirror, Doer: d, Log: quiet(), Now: func() time.Time { return start },
		Shared: volatile, Node: volatile,
	}
}

func openNode(tb testing.TB, given catalog.Options) *node {
	tb.Helper()
	work, ok := given.Doer.(*doer)
	assert.Assert(tb, ok)
	opened, err := catalog.Open(tb.Context(), given)
	assert.NilError(tb, err)
	mountertest.WaitAtEnd(tb, &work.guard)
	tb.Cleanup(func() { _ = opened.Close() })
	return &node{Catalog: opened, doer: work, mirror: given.Mirror}
}

// newNode opens a node with a mirror of its own and attaches it.
func newNode(tb testing.TB, shared string) *node {
	tb.Helper()
	made := openNode(tb, options(tb.TempDir(), &doer{}))
	assert.NilError(tb, made.Attach(tb.Context(), shared))
	return made
}

// reopen is a restart of the plugin: another process reads the mirror.
func (n *node) reopen(tb testing.TB) *node {
	tb.Helper()
	assert.NilError(tb, n.Close())
	return openNode(tb, options(n.mirror, &doer{}))
}

// sharedFolder is a catalog folder whose parent, the private folder, is there.
func sharedFolder(tb testing.TB) string { return filepath.Join(tb.TempDir(), "catalog") }

func record(name string) catalog.Record {
	return catalog.Record{
		Version: 1, ID: catalog.NewID(), Name: name, State: catalog.Ready, Class: "db",
		Location: backend.Location{
			Kind: backend.OCFS2, Pool: "media-apps", PoolUUID: "0123456789ABCDEF0123456789ABCDEF",
			Subdir: name, UID: 1000, GID: 1000, Mode: 0o770,
		},
		Options:   map[string]string{"class": "db", "subdir": name},
		CreatedAt: start, CreatedBy: "node-1",
	}
}

func (n *node) put(tb testing.TB, given catalog.Record) catalog.Record {
	tb.Helper()
	written, err := n.Put(tb.Context(), given)
	assert.NilError(tb, err)
	return written
}

func (n *node) names() []string {
	names := []string{}
	for _, record := range n.List() {
		names = append(names, record.Name)
	}
	return names
}

func name(number int) string { return fmt.Sprintf("volume-%05d", number) }

// counter counts fsyncs of both kinds.
type counter struct{ fsyncs int }

func (c *counter) step(op, _ string) error {
	if op == durable.OpFsync || op == durable.OpSyncDir {
		c.fsyncs++
	}
	return nil
}

// copyFolder is a snapshot of a NAS.
func copyFolder(tb testing.TB, from, to string) {
	tb.Helper()
	assert.NilError(tb, os.RemoveAll(to))
	assert.NilError(tb, os.CopyFS(to, os.DirFS(from)))
}

// inMemory puts the test's folders on a memory file system where there is one, for tests with thousands of fsyncs: they
// check the order of steps, not a disk.
func inMemory(t *testing.T) {
	t.Helper()
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		t.Setenv("TMPDIR", "/dev/shm")
	}
}
