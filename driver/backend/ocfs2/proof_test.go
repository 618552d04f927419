package ocfs2_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// proofs are the ways in which a pool or a directory is not what it should be, after a volume was created.
func proofs() []struct {
	title string
	spoil func(t *testing.T, b *bench)
} {
	remount := func(change func(*mountertest.FileSystem)) func(*testing.T, *bench) {
		return func(_ *testing.T, b *bench) {
			b.kernel.UnmountHost(poolPath)
			changed := disk()
			change(&changed)
			b.kernel.MountHost(poolPath, changed)
		}
	}
	return []struct {
		title string
		spoil func(t *testing.T, b *bench)
	}{
		{"not mounted, no disk", func(_ *testing.T, b *bench) { b.kernel.UnmountHost(poolPath) }},
		{"plain folder with files", func(t *testing.T, b *bench) {
			b.kernel.UnmountHost(poolPath)
			assert.NilError(t, os.MkdirAll(b.path("radarr"), 0o755))
		}},
		{"no path", func(t *testing.T, b *bench) {
			b.kernel.UnmountHost(poolPath)
			assert.NilError(t, os.Remove(b.path("")))
		}},
		{"another file system", remount(func(fs *mountertest.FileSystem) { fs.Type = "ext4" })},
		{"wrong UUID", remount(func(fs *mountertest.FileSystem) { fs.UUID = other })},
		{"wrong UUID of the record", func(_ *testing.T, b *bench) {
			b.kernel.UnmountHost(poolPath)
			b.settings.Pools[0].Device = "/dev/disk/by-id/wwn-1"
			changed := disk()
			changed.UUID = other
			b.kernel.MountHost(poolPath, changed)
			b.kernel.SetCluster(other, mounter.Cluster{Region: true})
		}},
		{"read-only", remount(func(fs *mountertest.FileSystem) { fs.ReadOnly = true })},
		{"localflocks", remount(func(fs *mountertest.FileSystem) { fs.SuperOptions += ",localflocks" })},
		{"no heartbeat", remount(func(fs *mountertest.FileSystem) { fs.SuperOptions = "rw,heartbeat=none" })},
		{"global heartbeat", remount(func(fs *mountertest.FileSystem) { fs.SuperOptions = "rw,_netdev,heartbeat=global" })},
		{"another cluster stack", remount(func(fs *mountertest.FileSystem) { fs.SuperOptions = "rw,_netdev,cluster_stack=pcmk" })},
		{"heartbeat late", func(_ *testing.T, b *bench) {
			b.kernel.SetCluster(uuid, mounter.Cluster{Name: "homelab", Region: true, DeadThreshold: 31, Silent: time.Minute})
		}},
		{"heartbeat stopped", func(_ *testing.T, b *bench) { b.kernel.SetCluster(uuid, mounter.Cluster{Name: "homelab"}) }},
		{"marker missing", func(t *testing.T, b *bench) { assert.NilError(t, os.RemoveAll(b.path(".homelab-storage"))) }},
		{"marker of another pool", func(t *testing.T, b *bench) {
			text := fmt.Sprintf(`{"version":1,"uuid":%q,"name":"x"}`, other)
			assert.NilError(t, os.WriteFile(b.path(".homelab-storage/pool.json"), []byte(text), 0o600))
		}},
		{"marker torn", func(t *testing.T, b *bench) {
			assert.NilError(t, os.WriteFile(b.path(".homelab-storage/pool.json"), []byte("{"), 0o600))
		}},
		{"marker of the future", func(t *testing.T, b *bench) {
			assert.NilError(t, os.WriteFile(b.path(".homelab-storage/pool.json"), []byte(`{"version":2}`), 0o600))
		}},
		{"private folder is a link", func(t *testing.T, b *bench) {
			assert.NilError(t, os.Rename(b.path(".homelab-storage"), b.path("x")))
			assert.NilError(t, os.Symlink("x", b.path(".homelab-storage")))
		}},
		{"directory missing", func(t *testing.T, b *bench) { assert.NilError(t, os.RemoveAll(b.path("radarr"))) }},
		{"directory is a file", func(t *testing.T, b *bench) {
			assert.NilError(t, os.RemoveAll(b.path("radarr")))
			assert.NilError(t, os.WriteFile(b.path("radarr"), nil, 0o600))
		}},
		{"mark missing", func(t *testing.T, b *bench) {
			assert.NilError(t, backend.RemoveMark(b.path(".homelab-storage"), "radarr", id))
		}},
		{"pool not configured any more", func(_ *testing.T, b *bench) { b.settings.Pools = b.settings.Pools[1:] }},
	}
}

// Every proof of D4 has its sentence, and nothing is written to the root disk.
func TestProofs(t *testing.T) {
	var text strings.Builder
	for _, proof := range proofs() {
		b := mountedBench(t)
		b.kernel.SetProgram("blkid", program(2, "", ""))
		v := create(t, b, volume("radarr", "radarr"))
		proof.spoil(t, b)
		before := tree(t, b)
		_, err := b.backend.Stage(t.Context(), v)
		assert.Assert(t, err != nil, proof.title)
		assert.DeepEqual(t, tree(t, b), before)
		fmt.Fprintf(&text, "# %s\n%s\n\n", proof.title, err)
	}
	times := regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
	golden.Assert(t, times.ReplaceAllString(text.String(), "<time>"), "proofs.golden")
}

// A busy disk keeps a heartbeat waiting, too.
func TestBusyDiskIsNoLostDisk(t *testing.T) {
	b := mountedBench(t)
	v := create(t, b, volume("radarr", "radarr"))
	b.kernel.SetCluster(uuid, mounter.Cluster{Name: "homelab", Region: true, DeadThreshold: 31, Silent: 8 * time.Second})
	_, err := b.backend.Stage(t.Context(), v)
	assert.NilError(t, err)
}

// tree lists what is at the pool's path, whether a pool is there or not.
func tree(t *testing.T, b *bench) []string {
	t.Helper()
	var names []string
	entries, err := os.ReadDir(b.path(""))
	if err != nil {
		return []string{err.Error()}
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}
