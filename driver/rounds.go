package driver

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// turnLimit bounds what one turn of background work waits for a storage or for the engine.
const turnLimit = 25 * time.Second

// rounds is one kind of background work, which comes again and again: the volumes of one storage have their turns one after
// another, all storages at the same time. The work bounds each turn. A storage that hangs is late for its own next round and for nobody else's.
type rounds struct {
	// longest, when set, is the end of a back-off: a storage that does not answer is left alone for healEvery, then twice as long,
	// and so on.
	longest time.Duration

	mu      sync.Mutex               // guards what follows; held for map operations only
	busy    map[string]bool          // by storage: its last round is not over
	after   map[string]string        // by storage: the name with which it did not answer
	pauses  map[string]time.Duration // by storage: how long it is left alone
	resumes map[string]time.Time     // by storage: when that ends
	group   sync.WaitGroup
}

// begin starts a round for every storage that is not still in its last one, and waits for none. A storage that does not answer
// ends its round, so that it is tried once, and not once for each volume; the next round begins with the volume that follows,
// because one alone may be what hangs.
func (r *rounds) begin(ctx context.Context, work func(ctx context.Context, name string) error, storages map[string][]string) {
	for storage, names := range storages {
		after, free := r.enter(storage)
		if !free {
			continue
		}
		r.group.Go(func() { r.leave(storage, round(ctx, work, following(names, after))) })
	}
}

func (r *rounds) enter(storage string) (after string, free bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy[storage] || time.Now().Before(r.resumes[storage]) {
		return "", false
	}
	if r.busy == nil {
		r.busy, r.after = map[string]bool{}, map[string]string{}
		r.pauses, r.resumes = map[string]time.Duration{}, map[string]time.Time{}
	}
	r.busy[storage] = true
	return r.after[storage], true
}

func (r *rounds) leave(storage, away string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.busy, storage)
	delete(r.after, storage)
	if away == "" {
		delete(r.pauses, storage)
		delete(r.resumes, storage)
		return
	}
	r.after[storage] = away
	if r.longest > 0 {
		r.pauses[storage] = min(max(2*r.pauses[storage], healEvery), r.longest)
		r.resumes[storage] = time.Now().Add(r.pauses[storage])
	}
}

// round gives every name its turn, and tells the one whose storage did not answer.
func round(ctx context.Context, work func(ctx context.Context, name string) error, names []string) (away string) {
	for _, name := range names {
		if err := work(ctx, name); errors.Is(err, backend.ErrUnavailable) {
			return name
		}
	}
	return ""
}

// following gives names in alphabetical order, those behind one of them first.
func following(names []string, after string) []string {
	sorted := slices.Sorted(slices.Values(names))
	i, _ := slices.BinarySearch(sorted, after+"\x00")
	return slices.Concat(sorted[i:], sorted[:i])
}

// alone is a storage's work that is not a volume's: each name is a storage of its own.
func alone(names []string) map[string][]string {
	storages := map[string][]string{}
	for _, name := range names {
		storages[name] = []string{name}
	}
	return storages
}

// byStorage puts volumes together that wait for the same thing: a pool, a server, or the node's own disk.
func (d *Driver) byStorage(names []string) map[string][]string {
	storages := map[string][]string{}
	for _, name := range names {
		record, _, _ := d.records.get(name)
		storage := storageOf(record.Location)
		storages[storage] = append(storages[storage], name)
	}
	return storages
}

func storageOf(location backend.Location) string {
	server, _, _ := strings.Cut(strings.TrimPrefix(location.Device, "//"), "/")
	return strings.Join([]string{location.Kind, location.Pool, strings.ToLower(server)}, " ")
}
