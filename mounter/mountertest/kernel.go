package mountertest

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/internal/rootpath"
)

// Program answers for a program of the host. It may call the kernel's own methods, as mount.ocfs2 makes a mount.
type Program func(ctx context.Context, command mounter.Command) (mounter.Output, error)

// Kernel is a fake [mounter.Mounter]. Its methods may be used by many goroutines.
type Kernel struct {
	tb    testing.TB
	temp  string
	guard mounter.Guard
	// keyless counts calls that cannot be in their own way, each of which has a key of its own.
	keyless atomic.Int64

	mu        sync.Mutex // guards what follows; not held while a call is held, nor while a program runs
	contents  map[string]*contents
	mounts    []mount // in the order in which they were made
	covers    int
	lastMinor int

	actions []Action
	faults  []*fault
	hook    func(Action) error
	holds   []*Hold

	busy      map[string]bool
	users     map[string][]mounter.User
	openFiles map[string][]mounter.OpenFile
	programs  map[string]Program
	addresses map[string][]netip.Addr
	clusters  map[string]mounter.Cluster
	boot      string
}

var _ mounter.Mounter = (*Kernel)(nil)

// New makes a kernel whose two namespaces have a root file system each (ext4, read-write, 100 GiB) and nothing else.
func New(tb testing.TB) *Kernel {
	tb.Helper()
	temp, err := filepath.EvalSymlinks(tb.TempDir())
	if err != nil {
		tb.Fatalf("mountertest: %v", err)
	}
	k := &Kernel{
		tb: tb, temp: temp,
		contents: map[string]*contents{}, busy: map[string]bool{}, users: map[string][]mounter.User{}, openFiles: map[string][]mounter.OpenFile{},
		programs: map[string]Program{}, addresses: map[string][]netip.Addr{}, clusters: map[string]mounter.Cluster{},
		boot: "11111111-2222-4333-8444-555555555555",
	}
	WaitAtEnd(tb, &k.guard) // a call that was given up may write to the folders
	for side, folder := range []string{"host", "plugin"} {
		directory := filepath.Join(temp, folder)
		k.must(os.MkdirAll(directory, 0o755))
		k.must(os.MkdirAll(filepath.Join(temp, "free"), 0o755))
		k.rootMount(mounter.Side(side), directory)
	}
	return k
}

// atEnd is how long a call that was given up may go on after its test: longer than a busy machine stalls.
const atEnd = time.Minute

// WaitAtEnd has a test wait at its end, after what is cleaned up later and before what was set up earlier, for the calls of a guard.
func WaitAtEnd(tb testing.TB, guard *mounter.Guard) {
	tb.Helper()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), atEnd)
		defer cancel()
		if err := guard.Wait(ctx); err != nil {
			tb.Errorf("mountertest: a call still runs at the end of the test: %v", err)
		}
	})
}

// Temp is a folder that both the code under test and the kernel see under its own name, in the plugin's namespace: for the
// target root, the state and the share mounts of a test.
func (k *Kernel) Temp() string { return filepath.Join(k.temp, "free") }

// HostPath translates a path of the host, following mounts and symbolic links.
func (k *Kernel) HostPath(path string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if strings.HasPrefix(path, k.temp+"/") || !filepath.IsAbs(path) {
		k.tb.Errorf("mountertest: HostPath(%q) is not a path of the host", path)
		return path
	}
	return k.hostPath(filepath.Clean(path))
}

func (k *Kernel) hostPath(path string) string {
	if found := k.covering(mounter.Host, path); found.entry.Target != "/" {
		below := strings.TrimPrefix(path, found.entry.Target)
		return rootpath.Resolve(found.directory, "/"+below)
	}
	return rootpath.Resolve(filepath.Join(k.temp, "host"), path)
}

// PluginPath translates a path of the plugin's namespace into the real one.
func (k *Kernel) PluginPath(path string) string {
	if strings.HasPrefix(path, k.temp+"/") {
		return path
	}
	return filepath.Join(k.temp, "plugin", path)
}

// realPath is where a place's link or folder is.
func (k *Kernel) realPath(place mounter.Place) string {
	if place.Side == mounter.Host {
		return k.hostPath(place.Path)
	}
	return k.PluginPath(place.Path)
}

// must fails the test for a failure of the fake's own file work.
func (k *Kernel) must(err error) {
	if err != nil {
		k.tb.Errorf("mountertest: %v", err)
	}
}
