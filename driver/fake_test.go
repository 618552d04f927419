package driver_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/local"
	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/driver/drain/draintest"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

const (
	poolPath    = "/mnt/iscsi/media-apps"
	stateFolder = "/var/lib/homelab-storage"
	poolUUID    = "0123456789ABCDEF0123456789ABCDEF"
)

// bench is a driver on a fake kernel, with a backend that stores in plain folders of one pool.
type bench struct {
	kernel  *mountertest.Kernel
	pool    *pool
	share   *share
	engines *engines
	source  *current
	options driver.Options
	driver  *driver.Driver
}

func newBench(t *testing.T) *bench {
	t.Helper()
	kernel := mountertest.New(t)
	kernel.MountHost(poolPath, mountertest.FileSystem{Type: "ocfs2", UUID: poolUUID, Source: "/dev/sda"})
	for _, uuid := range []string{poolUUID, besideUUID} {
		kernel.SetCluster(uuid, mounter.Cluster{Name: "homelab", Region: true})
	}
	b := &bench{kernel: kernel, pool: &pool{kernel: kernel}, share: &share{}, engines: &engines{ended: map[driver.Engine]bool{}}, source: fixed(configured())}
	state := kernel.Temp()
	log := logrus.New()
	log.SetOutput(t.Output())
	log.SetLevel(logrus.DebugLevel)
	b.options = driver.Options{
		Mounter: kernel, Settings: b.source, Backends: []backend.Backend{b.pool, b.share, local.New(kernel, stateFolder)}, Pools: b.pool,
		Secrets: credential.NewStore(kernel, stateFolder+"/credentials"), Engines: b.engines,
		StateDir: filepath.Join(state, "state"), RunDir: filepath.Join(state, "run"), MountRoot: filepath.Join(state, "volumes"),
		Version: "test", Linger: 300 * time.Millisecond, Log: logrus.NewEntry(log),
	}
	b.start(t)
	return b
}

// start makes a new driver on the same folders, as after a restart or a kill of the plugin.
func (b *bench) start(t *testing.T) {
	t.Helper()
	if b.driver == nil {
		t.Cleanup(func() { assert.NilError(t, b.driver.Close()) })
	} else {
		assert.NilError(t, b.driver.Close()) // the death of a process gives its locks back
	}
	made, err := driver.New(t.Context(), b.options)
	assert.NilError(t, err)
	b.driver = made
}

// run runs the background until the returned function is called.
func (b *bench) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.driver.Run(ctx) }()
	return func() {
		cancel()
		assert.NilError(t, <-done)
	}
}

func (b *bench) create(t *testing.T, name string, options map[string]string) {
	t.Helper()
	assert.NilError(t, b.driver.Create(t.Context(), name, options))
}

func (b *bench) mount(t *testing.T, name, id string) string {
	t.Helper()
	target, err := b.driver.Mount(t.Context(), name, id, engine())
	assert.NilError(t, err)
	return target
}

func engine() driver.Engine { return driver.Engine{PID: 1, Started: 100} }

func configured() *settings.Settings {
	return &settings.Settings{
		Node: "node1", Pools: []settings.Pool{{Name: "media-apps", Path: poolPath, Catalog: true}},
		Defaults: settings.Initial(), Classes: map[string]settings.Class{"postgres": {Like: "db"}},
	}
}

// current is a settings.Source that a test may change.
type current struct {
	now atomic.Pointer[settings.Settings]
}

func fixed(now *settings.Settings) *current {
	source := &current{}
	source.now.Store(now)
	return source
}

func (c *current) Current() *settings.Settings { return c.now.Load() }

// besideName and besidePath are a second pool, with nothing of the driver's on it.
const besideName, besidePath, besideUUID = "app-data", "/mnt/app-data", "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"

// pool is a backend with plain folders on the fake kernel's pool.
type pool struct {
	draintest.Pools
	kernel *mountertest.Kernel
	away   atomic.Bool
	// standalone makes the pool one of this node alone.
	standalone atomic.Bool
	// failRemove makes a Remove fail after its intent was recorded.
	failRemove atomic.Bool
	// removing, when set, is done in the middle of a Remove.
	removing func()
	// refuseRemove makes a Remove refuse, as of a directory that another volume has too.
	refuseRemove atomic.Bool
	// name, when set, is what the pool is called in the configuration.
	name atomic.Value
	// hang makes Create and Stage wait until their time is over.
	hang atomic.Bool
	// restore, when set, takes an entry "entry" out of the trash.
	restore func() error
	mu      sync.Mutex
	trash   []string
	// trashError is what a list of the trash says besides its entries, as of a pool that is away.
	trashError error
}

var errAway = fmt.Errorf("pool media-apps is not mounted: %w", backend.ErrUnavailable)

func (p *pool) Kind() string { return backend.OCFS2 }

func (p *pool) Plan(_ context.Context, request backend.Request) (backend.Plan, error) {
	location := request.Location
	location.Pool, location.Standalone = "media-apps", p.standalone.Load()
	if name, ok := p.name.Load().(string); ok {
		location.Pool = name
	}
	if location.Subdir == "" {
		location.Subdir = request.Name
	}
	return backend.Plan{Location: location}, nil
}

func (p *pool) folder(volume backend.Volume) string {
	return filepath.Join(p.kernel.HostPath(poolPath), volume.Location.Subdir)
}

func (p *pool) Create(ctx context.Context, volume backend.Volume, own bool) (backend.Location, error) {
	location := volume.Location
	if p.away.Load() {
		return location, errAway
	}
	if p.hang.Load() {
		<-ctx.Done()
		return location, fmt.Errorf("the pool does not answer: %w", ctx.Err())
	}
	err := os.Mkdir(p.folder(volume), 0o770)
	location.Adopted = errors.Is(err, os.ErrExist) && !own
	location.PoolUUID = poolUUID
	return location, nil
}

func (p *pool) Stage(ctx context.Context, volume backend.Volume) (backend.Staged, error) {
	if p.hang.Load() {
		<-ctx.Done()
	}
	if p.away.Load() || ctx.Err() != nil || p.Refuses("media-apps", false) {
		return backend.Staged{}, errAway
	}
	return backend.Staged{
		Base: mounter.Place{Side: mounter.Host, Path: poolPath}, Subdir: volume.Location.Subdir,
		ReadOnly: volume.Location.ReadOnly, Pool: p.proven(),
	}, nil
}

func (p *pool) Remove(_ context.Context, volume backend.Volume) error {
	if p.refuseRemove.Load() {
		return &backend.Failure{Err: backend.ErrRefused, Text: "another volume has the directory"}
	}
	if p.failRemove.Load() {
		return errAway
	}
	if p.removing != nil {
		p.removing()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	err := os.Rename(p.folder(volume), filepath.Join(p.kernel.Temp(), "trashed-"+volume.ID))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	p.trash = append(p.trash, volume.Name)
	return err
}

func (p *pool) Status(backend.Volume) map[string]any { return map[string]any{"pool": "media-apps"} }

func (p *pool) proven() *backend.Pool {
	return &backend.Pool{Name: "media-apps", UUID: poolUUID, Path: poolPath, Private: filepath.Join(p.kernel.HostPath(poolPath), backend.PrivateFolder)}
}

func (p *pool) Prove(_ context.Context, name string) (backend.Pool, error) {
	if name == besideName {
		return backend.Pool{Name: name, UUID: besideUUID, Path: besidePath, Private: filepath.Join(p.kernel.HostPath(besidePath), backend.PrivateFolder)}, nil
	}
	if p.away.Load() || p.Refuses("media-apps", true) {
		return backend.Pool{}, errAway
	}
	return *p.proven(), nil
}

func (p *pool) Check(ctx context.Context, name string) (backend.Pool, error) {
	return p.Prove(ctx, name)
}

func (p *pool) Prepare(ctx context.Context, name string) (backend.Pool, error) {
	proven, err := p.Prove(ctx, name)
	if err != nil {
		return proven, err
	}
	for _, folder := range []string{"", backend.CatalogFolder, backend.HoldersFolder, backend.NodesFolder, backend.CredentialsFolder} {
		if err := os.MkdirAll(filepath.Join(proven.Private, folder), 0o700); err != nil {
			return proven, err
		}
	}
	return proven, nil
}

func (p *pool) TrashList(context.Context, string) ([]driver.TrashEntry, error) {
	if p.restore == nil {
		return nil, p.trashError
	}
	return []driver.TrashEntry{{ID: "entry", Pool: "media-apps"}}, p.trashError
}

func (p *pool) TrashRestore(context.Context, string, backend.Volume) error {
	if p.restore == nil {
		return nil
	}
	return p.restore()
}

func (p *pool) TrashEmpty(context.Context, string, string, time.Time) (int, error) { return 0, nil }
