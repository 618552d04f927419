package ocfs2_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/ocfs2"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

const (
	uuid     = "0C5A1F3E7B9D4A2680FFEE1122334455"
	dashed   = "0c5a1f3e-7b9d-4a26-80ff-ee1122334455"
	other    = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	poolPath = "/mnt/iscsi/media-apps"
	target   = "iqn.2024-01.lan.nas:media-apps"
	id       = "0123456789abcdef0123456789abcdef"
	id2      = "ffffffffffffffffffffffffffffffff"
)

// bench is a backend on a fake host with a disk.
type bench struct {
	kernel   *mountertest.Kernel
	backend  *ocfs2.Backend
	settings *settings.Settings
	now      time.Time
}

// Current makes the bench a settings.Source.
func (b *bench) Current() *settings.Settings { return b.settings }

func disk() mountertest.FileSystem {
	return mountertest.FileSystem{Type: "ocfs2", UUID: uuid, Source: "/dev/sda", SuperOptions: "rw,_netdev,heartbeat=local,nointr,data=ordered"}
}

func newBench(tb testing.TB, options ...durable.Option) *bench {
	tb.Helper()
	b := &bench{kernel: mountertest.New(tb), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	b.settings = &settings.Settings{Node: "node-1", Defaults: settings.Initial(), Pools: []settings.Pool{{
		Name: "media-apps", Device: "UUID=" + dashed, Path: poolPath, Catalog: true, MountOptions: []string{"noatime"},
	}, {Name: "app-data", Device: "LABEL=app-data", Path: "/mnt/iscsi/app-data"}}}
	b.kernel.SetCluster(uuid, mounter.Cluster{Name: "homelab", Region: true})
	b.restart(options...)
	return b
}

// restart has a new backend, which knows nothing.
func (b *bench) restart(options ...durable.Option) {
	log := logrus.New()
	log.SetOutput(io.Discard)
	b.backend = ocfs2.New(ocfs2.Options{
		Mounter: b.kernel, Settings: b, StateDir: "/var/lib/homelab-storage", RunDir: "/run/homelab-storage", Log: logrus.NewEntry(log),
		Now: func() time.Time { return b.now }, Durable: options,
	})
}

// mountedBench has its pool mounted.
func mountedBench(tb testing.TB, options ...durable.Option) *bench {
	tb.Helper()
	b := newBench(tb, options...)
	b.kernel.MountHost(poolPath, disk())
	return b
}

// path is a path on the pool.
func (b *bench) path(below string) string {
	return filepath.Join(b.kernel.HostPath(poolPath), below)
}

// program answers with a text, or fails with a code.
func program(code int, stdout, stderr string) mountertest.Program {
	return func(context.Context, mounter.Command) (mounter.Output, error) {
		return mounter.Output{Stdout: stdout, Stderr: stderr, Code: code}, nil
	}
}

func volume(name, subdir string) backend.Volume {
	return backend.Volume{ID: id, Name: name, Location: backend.Location{
		Kind: backend.OCFS2, Pool: "media-apps", PoolUUID: uuid, Subdir: subdir,
		UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Mode: 0o770,
	}}
}

func create(tb testing.TB, b *bench, v backend.Volume) backend.Volume {
	tb.Helper()
	location, err := b.backend.Create(tb.Context(), v, false)
	assert.NilError(tb, err)
	v.Location = location
	return v
}
