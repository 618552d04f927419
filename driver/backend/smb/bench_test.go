package smb_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/smb"
	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// bench is a backend on a fake kernel, with a NAS that accepts connections.
type bench struct {
	kernel   *mountertest.Kernel
	mounter  mounter.Mounter // the kernel, or what a test puts in between
	backend  *smb.Backend
	settings *settings.Settings
	root     string
	memory   string
	says     string        // what the NAS answers to a greeting
	mute     string        // the address of a server that accepts connections and then says nothing
	late     time.Duration // or this much later
	store    *credential.Store

	mu    sync.Mutex
	dials []string
	dial  func(ctx context.Context, address string) error
	clock time.Time
}

// Current makes the bench a settings.Source.
func (b *bench) Current() *settings.Settings { return b.settings }

func newBench(t *testing.T) *bench {
	t.Helper()
	kernel := mountertest.New(t)
	b := &bench{kernel: kernel, mounter: kernel, root: filepath.Join(kernel.Temp(), "shares"), memory: filepath.Join(kernel.Temp(), "memory"), clock: time.Now(), says: "\x00\x00\x00\x04\xfeSMB"}
	b.dial = func(context.Context, string) error { return nil }
	b.settings = &settings.Settings{
		Defaults: settings.Initial(), Server: "nas", Credentials: "nas",
		Shares: []settings.Share{{Name: "media", Device: "//nas/media", Credentials: "tv"}},
	}
	kernel.SetAddresses("nas", netip.MustParseAddr("192.168.1.100"))
	store := credential.NewStore(kernel, "/var/lib/homelab-storage/credentials")
	for _, name := range []string{"nas", "tv"} {
		login := credential.Credentials{Username: "bob", Domain: "HOME", Password: mounter.NewSecret("canary")}
		assert.NilError(t, store.Set(t.Context(), name, login))
	}
	b.store = store
	b.backend = b.restart(store)
	return b
}

// restart is a new process on the same kernel.
func (b *bench) restart(store smb.Credentials) *smb.Backend {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return smb.New(smb.Options{
		Mounter: b.mounter, Settings: b, Credentials: store, ShareRoot: b.root, Memory: b.memory, Log: logrus.NewEntry(log),
		Now: func() time.Time { b.mu.Lock(); defer b.mu.Unlock(); return b.clock },
		Dial: func(ctx context.Context, _, address string) (net.Conn, error) {
			b.mu.Lock()
			b.dials = append(b.dials, address)
			dial, late, mute := b.dial, b.late, b.mute != "" && strings.HasPrefix(address, b.mute)
			b.mu.Unlock()
			if err := dial(ctx, address); err != nil {
				return nil, err
			}
			if mute {
				return b.speechless(late), nil
			}
			return mountertest.ServeWith(b.says), nil
		},
	})
}

// speechless is a connection to a server that answers nothing, or late.
func (b *bench) speechless(late time.Duration) net.Conn {
	client, server := net.Pipe()
	if late > 0 {
		time.AfterFunc(late, func() { _, _ = io.WriteString(server, b.says) })
	}
	go func() { _, _ = io.Copy(io.Discard, server) }()
	return client
}

func (b *bench) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock = b.clock.Add(d)
}

// longest is more than the longest pause of the background.
const longest = smb.LongestPause + time.Second

// run runs the background until the returned function is called.
func (b *bench) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.backend.Run(ctx)
	}()
	return func() { cancel(); <-done }
}

// until waits for what the background does.
func until(t *testing.T, done func() bool) {
	t.Helper()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		if done() {
			return poll.Success()
		}
		return poll.Continue("not yet")
	}, poll.WithTimeout(20*time.Second), poll.WithDelay(10*time.Millisecond))
}

func (b *bench) key(volume backend.Volume) string { return b.backend.Key(volume.Location) }

func volume(name, subdir string, options ...string) backend.Volume {
	return backend.Volume{ID: "0123456789abcdef0123456789abcdef", Name: name, Location: backend.Location{
		Kind: backend.CIFS, Device: "//nas/torrents", Credentials: "nas", Subdir: subdir, MountOptions: options, UID: 1000, GID: 1000, Mode: 0o770,
	}}
}

func address(t *testing.T) netip.Addr {
	t.Helper()
	return netip.MustParseAddr("192.168.1.100")
}

// hostOf is the server of //server/share.
func hostOf(device string) string {
	server, _, _ := strings.Cut(strings.TrimPrefix(device, "//"), "/")
	return server
}
