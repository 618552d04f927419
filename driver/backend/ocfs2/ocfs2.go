package ocfs2

import (
	"context"
	"path"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// Options are what a backend is made of.
type Options struct {
	Mounter  mounter.Mounter
	Settings settings.Source
	// StateDir is a path of the host; the standalone pool is below it.
	StateDir string
	// RunDir is a path of the host that ends with a reboot: what was mounted and logged in to is noted there.
	RunDir string
	Log    *logrus.Entry
	Now    func() time.Time // nil means time.Now
	// Durable are for tests: they let durable steps fail.
	Durable []durable.Option
}

// Backend keeps volumes in directories of pools.
type Backend struct {
	kernel   mounter.Mounter
	settings settings.Source
	local    string // the standalone pool's path, of the host
	run      string // the folder of the notes, of the host
	log      *logrus.Entry
	now      func() time.Time
	durable  []durable.Option

	mu       sync.Mutex // guards what follows; never held while waiting
	flights  map[string]*flight
	states   map[string]state
	refusals map[string]refusal // by pool
}

var _ interface {
	backend.Backend
	backend.Runner
	backend.Reporter
} = (*Backend)(nil)

// New makes the backend. It touches nothing.
func New(options Options) *Backend {
	b := &Backend{
		kernel: options.Mounter, settings: options.Settings, local: path.Join(options.StateDir, "local", standaloneName),
		run: path.Join(options.RunDir, "pools"), log: options.Log, now: options.Now, durable: options.Durable,
		flights: map[string]*flight{}, states: map[string]state{}, refusals: map[string]refusal{},
	}
	if b.now == nil {
		b.now = time.Now
	}
	return b
}

// Kind is backend.OCFS2.
func (b *Backend) Kind() string { return backend.OCFS2 }

// Prove brings a pool up if need be and proves it (DESIGN D4).
func (b *Backend) Prove(ctx context.Context, name string) (backend.Pool, error) {
	return b.public(ctx, name, wanted{raise: true})
}

// Check proves a pool and never brings one up.
func (b *Backend) Check(ctx context.Context, name string) (backend.Pool, error) {
	return b.public(ctx, name, wanted{})
}

// Prepare proves a pool, brings it up if need be, and makes its private folder and marker when they are missing.
func (b *Backend) Prepare(ctx context.Context, name string) (backend.Pool, error) {
	return b.public(ctx, name, wanted{raise: true, mark: true})
}

func (b *Backend) public(ctx context.Context, name string, want wanted) (backend.Pool, error) {
	configured, err := b.find(name, name == standaloneName)
	if err != nil {
		return backend.Pool{}, err
	}
	proven, err := b.prove(ctx, configured, want)
	if err != nil {
		return backend.Pool{}, err
	}
	return proven.public(), nil
}
