package drain_test

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/drain"
	"github.com/homelab-storage/homelab-storage/driver/drain/draintest"
)

const pool = "media-apps"

// volumes are two on the pool.
type volumes struct {
	pools *draintest.Pools
	err   error // of Vacate
}

func (v *volumes) On(string) []catalog.Record {
	return []catalog.Record{{Name: "radarr"}, {Name: "sonarr"}}
}

func (v *volumes) Vacate(ctx context.Context, records []catalog.Record) error {
	v.pools.Note("vacate " + strings.Join(catalog.Names(records), " "))
	if v.err != nil {
		return v.err
	}
	return ctx.Err()
}

func (v *volumes) LetGo(string) { v.pools.Note("let go") }

// bench is a keeper on stand-ins, with a container that uses a volume of the pool.
type bench struct {
	*drain.Keeper
	options    drain.Options
	pools      *draintest.Pools
	containers *draintest.Containers
	volumes    *volumes
	log        bytes.Buffer
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{pools: &draintest.Pools{}, containers: &draintest.Containers{
		Running: []drain.Container{{ID: "c1", Name: "radarr", Image: "linuxserver/radarr", Volumes: []string{"radarr"}}},
	}}
	b.volumes = &volumes{pools: b.pools}
	log := logrus.New()
	log.SetOutput(&b.log)
	b.options = drain.Options{
		State: filepath.Join(t.TempDir(), "drains"), Pools: b.pools, Containers: b.containers, Volumes: b.volumes,
		Log: logrus.NewEntry(log), Now: func() time.Time { return time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC) },
	}
	b.start(t)
	t.Cleanup(func() { assert.NilError(t, b.Close()) })
	return b
}

// start makes another keeper on the same state, as a restart of the plugin does.
func (b *bench) start(t *testing.T) {
	t.Helper()
	if b.Keeper != nil {
		assert.NilError(t, b.Close())
	}
	starting, started := context.WithCancel(t.Context())
	made, err := drain.New(starting, b.options)
	assert.NilError(t, err)
	started()
	b.Keeper = made
}

// drain follows a drain to its end.
func (b *bench) drain(t *testing.T, request drain.Request) (string, error) {
	t.Helper()
	report, err := b.Drain(t.Context(), pool, request)
	return b.follow(t, report, err)
}

func (b *bench) undrain(t *testing.T) (string, error) {
	t.Helper()
	report, err := b.Undrain(t.Context(), pool)
	return b.follow(t, report, err)
}

func (b *bench) follow(t *testing.T, report drain.Report, err error) (string, error) {
	t.Helper()
	for err == nil && !report.Ended {
		report, err = b.Progress(t.Context(), pool, len(report.Lines))
	}
	return strings.Join(report.Lines, "\n"), err
}
