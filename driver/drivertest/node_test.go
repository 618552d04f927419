package drivertest

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/local"
	"github.com/homelab-storage/homelab-storage/driver/backend/ocfs2"
	"github.com/homelab-storage/homelab-storage/driver/backend/smb"
	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

const (
	poolName = "media-apps"
	poolPath = "/mnt/iscsi/media-apps"
	poolUUID = "0123456789ABCDEF0123456789ABCDEF"
)

// region is the heartbeat region of the pool: which nodes are live.
type region struct {
	mu   sync.Mutex
	live []int
}

func (r *region) set(number int, live bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live = slices.DeleteFunc(r.live, func(other int) bool { return other == number })
	if live {
		r.live = append(r.live, number)
	}
}

func (r *region) view() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.live)
}

// node is one machine with one plugin. Its folders outlive a process; mounts and what is in run outlive it until a boot.
type node struct {
	kernel *mountertest.Kernel
	region *region
	number int
	boots  int
	boot   string
	ahead  atomic.Int64  // of the node's clock, a time.Duration
	wait   time.Duration // LEASE_WAIT
	log    io.Writer
	alone  bool // it takes every other node for dead: a fault that a test must find
	// host, when set, is one whose pool the plugin brings up; else it is mounted all the time.
	host       *host
	containers *containers // nil for none that a drain knows

	points *points
	driver *driver.Driver
	stop   context.CancelFunc
	ended  chan error
}

// newKernel has one pool, mounted, and a NAS.
func newKernel(t *testing.T) *mountertest.Kernel {
	t.Helper()
	kernel := mountertest.New(t)
	kernel.MountHost(poolPath, poolFiles())
	return kernel
}

func (n *node) name() string { return fmt.Sprintf("node%d", n.number) }

func (n *node) folder(name string) string {
	return filepath.Join(n.kernel.Temp(), n.name(), name)
}

func (n *node) run() string { return n.folder(fmt.Sprint("run", n.boots)) }

// notes is the host's folder for what the plugin does to it, until a boot.
func (n *node) notes() string { return fmt.Sprintf("/run/%s.%d", n.name(), n.boots) }

func (n *node) target(volume string) string { return filepath.Join(n.folder("volumes"), volume) }

func (n *node) cluster(ctx context.Context) mounter.Cluster {
	live := n.region.view()
	if n.alone {
		live = []int{n.number}
	}
	return mounter.Cluster{Name: "homelab", Node: n.number, Region: n.host == nil || n.host.up(ctx), Live: live, DeadThreshold: 31}
}

// Current is the node's configuration.
func (n *node) Current() *settings.Settings {
	defaults := settings.Initial()
	defaults.LeaseWait = n.wait
	pool := settings.Pool{Name: poolName, Path: poolPath, Catalog: true}
	if n.host != nil {
		pool = n.host.pool()
	}
	return &settings.Settings{Node: n.name(), Pools: []settings.Pool{pool}, Defaults: defaults}
}

// advance puts the node's clock forward.
func (n *node) advance(by time.Duration) { n.ahead.Add(int64(by)) }

// power boots the machine: a new boot id, no mounts, an empty run folder.
func (n *node) power() {
	n.boots++
	n.boot = fmt.Sprintf("%08d-0000-4000-8000-%012d", n.number, n.boots)
	n.region.set(n.number, true)
}

// start starts the plugin, with its background.
func (n *node) start(t *testing.T, points *points) error {
	t.Helper()
	n.points = points
	log := logrus.New()
	log.SetOutput(n.log)
	log.SetLevel(logrus.DebugLevel)
	kernel := &process{Kernel: n.kernel, points: n.points, node: n}
	mountertest.WaitAtEnd(t, &kernel.guard)
	made, err := n.assemble(t.Context(), kernel, logrus.NewEntry(log))
	if err != nil {
		return err
	}
	n.driver = made
	ctx, cancel := context.WithCancel(t.Context())
	n.stop, n.ended = cancel, make(chan error, 1)
	go func() { n.ended <- made.Run(ctx) }()
	return nil
}

// assemble wires the parts as package main does.
func (n *node) assemble(ctx context.Context, kernel *process, log *logrus.Entry) (*driver.Driver, error) {
	faults := durable.WithFault(n.points.step)
	now := func() time.Time { return time.Now().Add(time.Duration(n.ahead.Load())) }
	state := filepath.Join("/var/lib", n.name())
	secrets := credential.NewStore(kernel, state+"/credentials", durable.WithFault(func(kind, name string) error {
		return n.points.step(kind, "credentials/"+name)
	}))
	pools := ocfs2.New(ocfs2.Options{Mounter: kernel, Settings: n, StateDir: state, RunDir: n.notes(), Log: log, Now: now, Durable: []durable.Option{faults}})
	shares := smb.New(smb.Options{
		Mounter: kernel, Settings: n, Credentials: secrets, ShareRoot: n.folder("shares"), Memory: n.folder("memory"), Log: log, Now: now, Durable: []durable.Option{faults},
		Dial: func(context.Context, string, string) (net.Conn, error) { return mountertest.Serve(), nil },
	})
	return driver.New(ctx, driver.Options{
		Mounter: kernel, Settings: n, Backends: []backend.Backend{pools, shares, local.New(kernel, state, faults)}, Pools: pools,
		Secrets: secrets, Engines: engines{n.points, n.containers}, StateDir: n.folder("state"), RunDir: n.run(), MountRoot: n.folder("volumes"),
		Version: "test", Log: log, Now: now, Durable: []durable.Option{faults},
	})
}

// end ends the process, by a kill: what it does from now on has no effect.
func (n *node) end(t *testing.T) {
	t.Helper()
	n.points.die()
	n.stop()
	assert.NilError(t, <-n.ended)
	assert.Check(t, n.driver.Close())
}
