package smb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/internal/directory"
	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/internal/keylock"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// proofLimit bounds the look at a mounted share: a healthy one answers in milliseconds, one whose server is gone would
// use up all of the caller's time.
const proofLimit = 5 * time.Second

// Credentials finds stored credentials; *credential.Store does.
type Credentials interface {
	Get(ctx context.Context, name string) (credential.Credentials, error)
}

// Options are what a backend is made of.
type Options struct {
	Mounter     mounter.Mounter
	Settings    settings.Source
	Credentials Credentials
	// ShareRoot is the folder for share mounts, in the plugin's own namespace and not below the target root, where they
	// would propagate to the engine.
	ShareRoot string
	// Dial probes a server; nil means net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Now is the clock of lingering; nil means time.Now.
	Now func() time.Time
	Log *logrus.Entry
	// Durable are for tests: they let durable steps fail.
	Durable []durable.Option
}

// Backend keeps volumes on SMB shares.
type Backend struct {
	kernel      mounter.Mounter
	settings    settings.Source
	credentials Credentials
	root        string
	dial        func(ctx context.Context, network, address string) (net.Conn, error)
	now         func() time.Time
	log         *logrus.Entry
	durable     []durable.Option
	servers     keylock.Locks // one mount in flight per server

	mu      sync.Mutex         // guards what follows; never held while waiting
	flights map[string]*flight // by key: a mount or unmount that has not ended
	states  map[string]state   // by key: what was last seen of a share
	active  map[string]*flight // by server: the flight that holds its lock
}

var _ interface {
	backend.Backend
	backend.Runner
	backend.Reporter
} = (*Backend)(nil)

// state is what is remembered of a share.
type state struct {
	share string // //server/share
	used  time.Time
	err   error // of the last Stage; nil when it was well
	when  time.Time
}

// New makes the backend. It touches nothing.
func New(options Options) *Backend {
	b := &Backend{
		kernel: options.Mounter, settings: options.Settings, credentials: options.Credentials, root: options.ShareRoot,
		dial: options.Dial, now: options.Now, log: options.Log, durable: options.Durable,
		flights: map[string]*flight{}, states: map[string]state{}, active: map[string]*flight{},
	}
	if b.dial == nil {
		b.dial = (&net.Dialer{}).DialContext
	}
	if b.now == nil {
		b.now = time.Now
	}
	return b
}

// Kind is backend.CIFS.
func (b *Backend) Kind() string { return backend.CIFS }

// Create mounts the share and makes the volume's sub-directory when it is missing. How a share was on which no volume could be
// created is not remembered: nothing depends on it.
func (b *Backend) Create(ctx context.Context, volume backend.Volume, own bool) (backend.Location, error) {
	share, err := newShare(b.root, volume.Location)
	if err != nil {
		return backend.Location{}, err
	}
	share.creating = true
	if err := b.ensure(ctx, share); err != nil {
		b.forget(share)
		return backend.Location{}, err
	}
	existed := true
	err = b.look(ctx, share, func(root *os.Root) (err error) {
		if existed, err = directory.Exists(root, volume.Location.Subdir); err != nil || existed {
			return err
		}
		return directory.MakeAll(root, volume.Location.Subdir, b.durable...)
	})
	if err != nil {
		b.forget(share)
		return backend.Location{}, b.explainDirectory(share, volume, err)
	}
	location := volume.Location
	location.Adopted = existed && !own
	return location, b.note(share, nil)
}

// Stage mounts the share when it is not, and proves that it is the one asked for and that the sub-directory exists.
func (b *Backend) Stage(ctx context.Context, volume backend.Volume) (backend.Staged, error) {
	share, err := newShare(b.root, volume.Location)
	if err != nil {
		return backend.Staged{}, err
	}
	if err := b.stage(ctx, share, volume); err != nil {
		return backend.Staged{}, b.note(share, err)
	}
	_ = b.note(share, nil)
	return backend.Staged{
		Base: mounter.Place{Side: mounter.Plugin, Path: share.target}, Subdir: volume.Location.Subdir, ReadOnly: volume.Location.ReadOnly,
	}, nil
}

func (b *Backend) stage(ctx context.Context, share share, volume backend.Volume) error {
	if err := b.ensure(ctx, share); err != nil {
		return err
	}
	err := b.look(ctx, share, func(root *os.Root) error {
		dir, err := directory.Open(root, volume.Location.Subdir)
		if err != nil {
			return err
		}
		return dir.Close()
	})
	if err != nil {
		return b.explainDirectory(share, volume, err)
	}
	return nil
}

// look works in a mounted share, on a thread of its own. One look is in flight per share, so that a server that is gone
// takes one thread and answers everybody else at once.
func (b *Backend) look(ctx context.Context, share share, work func(root *os.Root) error) error {
	ctx, cancel := context.WithTimeout(ctx, proofLimit)
	defer cancel()
	return b.kernel.Do(ctx, "share "+share.key, func() error {
		root, err := os.OpenRoot(share.target)
		if err != nil {
			return err
		}
		return errors.Join(work(root), root.Close())
	})
}

// Remove does nothing: what is on a share is the share's.
func (b *Backend) Remove(context.Context, backend.Volume) error { return nil }

// Status tells the share and how it was when it was last used.
func (b *Backend) Status(volume backend.Volume) map[string]any {
	location := volume.Location
	status := map[string]any{"share": location.Device}
	if location.Subdir != "" {
		status["directory"] = location.Subdir
	}
	if location.Credentials != "" {
		status["credentials"] = location.Credentials
	}
	share, err := newShare(b.root, location)
	if err != nil {
		status["problem"] = err.Error()
		return status
	}
	b.mu.Lock()
	known, ok := b.states[share.key]
	b.mu.Unlock()
	if ok {
		maps.Copy(status, known.report())
	}
	return status
}

// Report tells of every share that was used since the start.
func (b *Backend) Report() []map[string]any {
	b.mu.Lock()
	defer b.mu.Unlock()
	reports := make([]map[string]any, 0, len(b.states))
	for key, known := range b.states {
		report := known.report()
		report["share"], report["mount"] = known.share, path.Join(b.root, key)
		reports = append(reports, report)
	}
	slices.SortFunc(reports, func(a, b map[string]any) int {
		return strings.Compare(fmt.Sprint(a["share"], a["mount"]), fmt.Sprint(b["share"], b["mount"]))
	})
	return reports
}

func (s state) report() map[string]any {
	report := map[string]any{"checked": s.when.UTC().Format(time.RFC3339)}
	if s.err != nil {
		report["problem"] = s.err.Error()
	}
	return report
}

// forget drops what a failed Create saw of a share, unless a volume used it before or its mount is on the way.
func (b *Backend) forget(share share) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.states[share.key].when.IsZero() && b.flights[share.key] == nil {
		delete(b.states, share.key)
	}
}

// note remembers how a share was, and returns the error.
func (b *Backend) note(share share, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.states[share.key]
	known.share, known.err, known.when = share.device, err, b.now()
	b.states[share.key] = known
	return err
}
