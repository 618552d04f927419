package holder_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/holder"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// region is a fake heartbeat region that several fake nodes share.
type region struct {
	mu   sync.Mutex
	live map[int]bool
}

func (r *region) set(node int, live bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live[node] = live
}

func (r *region) view() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	var live []int
	for node, is := range r.live {
		if is {
			live = append(live, node)
		}
	}
	slices.Sort(live)
	return live
}

// kernel is one fake node's kernel.
type kernel struct {
	region *region
	number int
	boot   string
	// blind has the node see no heartbeat region, foreign no o2cb at all.
	blind, foreign bool
	gate           chan struct{} // work waits for it when it is set
	reading        chan struct{} // so do looks at the cluster, under the directory's lock
	guard          mounter.Guard
}

func (k *kernel) BootID() string { return k.boot }

func (k *kernel) Cluster(context.Context, string) (mounter.Cluster, error) {
	if k.reading != nil {
		<-k.reading
	}
	if k.foreign {
		return mounter.Cluster{}, nil
	}
	if k.blind {
		return mounter.Cluster{Name: "homelab", Node: k.number}, nil
	}
	return mounter.Cluster{Name: "homelab", Node: k.number, Region: true, Live: k.region.view()}, nil
}

func (k *kernel) Do(ctx context.Context, key string, work func() error) error {
	return k.guard.Do(ctx, key, func() error {
		if k.gate != nil {
			<-k.gate
		}
		return work()
	}, nil)
}

// lab is one pool and the nodes that share it.
type lab struct {
	t      testing.TB
	pool   backend.Pool
	region *region
	now    func() time.Time
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	vol1 = "11111111111111111111111111111111"
	vol2 = "22222222222222222222222222222222"
)

func newLab(tb testing.TB) *lab {
	tb.Helper()
	private := filepath.Join(tb.TempDir(), backend.PrivateFolder)
	assert.NilError(tb, os.Mkdir(private, 0o700))
	return &lab{
		t:      tb,
		pool:   backend.Pool{Name: "media-apps", UUID: "0123456789ABCDEF0123456789ABCDEF", Private: private},
		region: &region{live: map[int]bool{}}, now: func() time.Time { return start },
	}
}

func (l *lab) directory(subdir string) holder.Directory {
	return holder.Directory{Pool: l.pool, Subdir: subdir}
}

// host is one node with one plugin.
type host struct {
	*holder.Keeper
	kernel  *kernel
	options holder.Options
}

// node boots a node: it is live and has a plugin.
func (l *lab) node(number int, boot string, change ...func(*holder.Options)) *host {
	l.t.Helper()
	l.region.set(number, true)
	return l.plugin(&kernel{region: l.region, number: number, boot: boot}, "managed", change...)
}

func (l *lab) plugin(on *kernel, instance string, change ...func(*holder.Options)) *host {
	l.t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	options := holder.Options{
		State: filepath.Join(l.t.TempDir(), "holds"), Node: fmt.Sprintf("node-%d", on.number), Instance: instance,
		Kernel: on, Log: logrus.NewEntry(log), Wait: func() time.Duration { return 30 * time.Millisecond },
		Poll: 5 * time.Millisecond, Now: l.now,
		Shared: []durable.Option{durable.Volatile()}, Local: []durable.Option{durable.Volatile()},
	}
	for _, change := range change {
		change(&options)
	}
	return l.start(on, options)
}

func (l *lab) start(on *kernel, options holder.Options) *host {
	l.t.Helper()
	keeper, err := holder.New(l.t.Context(), options)
	assert.NilError(l.t, err)
	mountertest.WaitAtEnd(l.t, &on.guard)
	l.t.Cleanup(func() { _ = keeper.Close() })
	return &host{Keeper: keeper, kernel: on, options: options}
}

func (l *lab) join(on *host, subdir string, mode holder.Mode, volume string) holder.JoinResult {
	l.t.Helper()
	result, err := on.Join(l.t.Context(), l.directory(subdir), mode, volume)
	assert.NilError(l.t, err)
	return result
}

func (l *lab) release(on *host, subdir, volume string) {
	l.t.Helper()
	assert.NilError(l.t, on.Release(l.t.Context(), l.directory(subdir), volume))
}

// holders names who has a directory.
func (l *lab) holders(on *host, subdir string) []string {
	l.t.Helper()
	record, err := on.Show(l.t.Context(), l.directory(subdir))
	assert.NilError(l.t, err)
	names := []string{}
	for _, holder := range record.Holders {
		names = append(names, holder.Name+"/"+holder.Instance)
	}
	return names
}
