package smb

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
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
	// Memory is the folder, as a path that this process can open, that keeps across boots which shares were in use; "" keeps nothing.
	Memory string
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
	memory      memory
	turn        *turn         // the kernel's mount call: one at a time
	tests       keylock.Locks // one test at a time per share
	checks      checks

	mu       sync.Mutex            // guards what follows; never held while waiting
	flights  map[string]*flight    // by key: a mount or unmount that has not ended
	states   map[string]state      // by key: what was last seen of a share
	answered map[string]netip.Addr // by server: the address that it was last mounted from
	findings map[string]finding    // by address and port: of servers that were away a moment ago
	logins   logins
	refusals refusals
}

var _ interface {
	backend.Backend
	backend.Runner
	backend.Reporter
	backend.Tester
} = (*Backend)(nil)

// New makes the backend. It touches nothing.
func New(options Options) *Backend {
	b := &Backend{
		kernel: options.Mounter, settings: options.Settings, credentials: options.Credentials, root: options.ShareRoot,
		dial: options.Dial, now: options.Now, log: options.Log, durable: options.Durable, turn: newTurn(),
		flights: map[string]*flight{}, states: map[string]state{}, answered: map[string]netip.Addr{}, findings: map[string]finding{},
		logins: newLogins(), refusals: refusals{},
	}
	if b.dial == nil {
		b.dial = (&net.Dialer{}).DialContext
	}
	if b.now == nil {
		b.now = time.Now
	}
	b.memory = memory{folder: options.Memory, given: options.Durable, now: b.now, log: options.Log}
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
	var made atomic.Bool // a look that was given up for another one may still be at work
	share, err = b.visit(ctx, share, func(root *os.Root) error {
		existed, err := directory.Exists(root, volume.Location.Subdir)
		if err != nil || existed {
			return err
		}
		made.Store(true)
		return directory.MakeAll(root, volume.Location.Subdir, b.durable...)
	})
	if err != nil {
		b.forget(share)
		explained, _ := b.explainDirectory(share, volume, err)
		return backend.Location{}, explained
	}
	location := volume.Location
	location.Adopted = !made.Load() && !own
	b.note(share, nil)
	return location, nil
}

// Stage mounts the share when it is not, and proves that it is the one asked for and that the sub-directory exists.
func (b *Backend) Stage(ctx context.Context, volume backend.Volume) (backend.Staged, error) {
	share, err := newShare(b.root, volume.Location)
	if err != nil {
		return backend.Staged{}, err
	}
	share, err = b.visit(ctx, share, func(root *os.Root) error {
		dir, err := directory.Open(root, volume.Location.Subdir)
		if err != nil {
			return err
		}
		return dir.Close()
	})
	if err != nil {
		explained, alone := b.explainDirectory(share, volume, err)
		if !alone {
			b.note(share, explained)
		}
		return backend.Staged{}, explained
	}
	b.note(share, nil)
	return backend.Staged{
		Base: mounter.Place{Side: mounter.Plugin, Path: share.target}, Subdir: volume.Location.Subdir, ReadOnly: volume.Location.ReadOnly,
		Replaces: true,
	}, nil
}

// Remove leaves what is on a share alone, and forgets one that could not be mounted: the volume may have been what was wrong. Who
// else wants it asks again.
func (b *Backend) Remove(_ context.Context, volume backend.Volume) error {
	if share, err := newShare(b.root, volume.Location); err == nil {
		if known, ok := b.known(share.key); ok && known.err != nil && known.share.target == "" {
			b.drop(share.key, known)
		}
	}
	return nil
}

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
	if known, ok := b.known(share.key); ok {
		maps.Copy(status, known.report())
	}
	return status
}
