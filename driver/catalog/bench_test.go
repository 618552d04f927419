package catalog_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/catalog"
)

// filled is a node that knows many volumes: their files are put there at once and read by a scan.
func filled(tb testing.TB, volumes int) (mirror, shared string) {
	tb.Helper()
	shared, mirror = sharedFolder(tb), tb.TempDir()
	n := openNode(tb, options(mirror, &doer{}))
	assert.NilError(tb, n.Attach(tb.Context(), shared))
	for number := range volumes {
		file := filepath.Join(shared, "volumes", name(number)+".json")
		assert.NilError(tb, os.WriteFile(file, text(tb, name(number), map[string]any{"generation": 1}), 0o600))
	}
	assert.NilError(tb, n.Scan(tb.Context()))
	assert.Equal(tb, len(n.List()), volumes)
	assert.NilError(tb, n.Close())
	return mirror, shared
}

func withFsync(mirror string) catalog.Options {
	given := options(mirror, &doer{})
	given.Shared, given.Node = nil, nil
	return given
}

// BenchmarkPut and the others compare 10 volumes with 10,000 in one run.
func BenchmarkPut(b *testing.B) {
	for _, volumes := range []int{10, 10_000} {
		b.Run(fmt.Sprint(volumes), func(b *testing.B) {
			mirror, shared := filled(b, volumes)
			n := openNode(b, withFsync(mirror))
			assert.NilError(b, n.Attach(b.Context(), shared))
			made := n.put(b, record("changed"))
			for b.Loop() {
				made = n.put(b, made)
			}
		})
	}
}

func BenchmarkPutWithoutFsync(b *testing.B) {
	for _, volumes := range []int{10, 10_000} {
		b.Run(fmt.Sprint(volumes), func(b *testing.B) {
			mirror, shared := filled(b, volumes)
			n := openNode(b, options(mirror, &doer{}))
			assert.NilError(b, n.Attach(b.Context(), shared))
			made := n.put(b, record("changed"))
			for b.Loop() {
				made = n.put(b, made)
			}
		})
	}
}

func BenchmarkRefreshUnchanged(b *testing.B) {
	mirror, shared := filled(b, 10_000)
	n := openNode(b, options(mirror, &doer{}))
	assert.NilError(b, n.Attach(b.Context(), shared))
	for b.Loop() {
		assert.NilError(b, n.Refresh(b.Context()))
	}
}

func BenchmarkGetAndList(b *testing.B) {
	mirror, _ := filled(b, 10_000)
	n := openNode(b, options(mirror, &doer{}))
	n.List() // the mirror is read
	b.Run("Get", func(b *testing.B) {
		for b.Loop() {
			n.Get("volume-05000")
		}
	})
	b.Run("List", func(b *testing.B) {
		for b.Loop() {
			n.List()
		}
	})
}

// BenchmarkLoad is the time from Open to the first answer with 10,000 volumes, and that of Open alone.
func BenchmarkLoad(b *testing.B) {
	mirror, _ := filled(b, 10_000)
	var opening time.Duration
	for b.Loop() {
		began := time.Now()
		n := openNode(b, options(mirror, &doer{}))
		opening += time.Since(began)
		_, has := n.Get("volume-09999")
		assert.Assert(b, has)
		assert.NilError(b, n.Close())
	}
	b.ReportMetric(float64(opening.Microseconds())/float64(b.N), "us/open")
}

// TestMemory holds the heap of 10,000 records to what the plugin's budget allows (40 MB for all of it).
func TestMemory(t *testing.T) {
	inMemory(t)
	mirror, _ := filled(t, 10_000)
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := heap()
	n := openNode(t, options(mirror, &doer{}))
	assert.Equal(t, len(n.List()), 10_000)
	used := float64(heap()-before) / (1 << 20)
	t.Logf("measured: 10,000 records: %.1f MiB of heap", used)
	assert.Assert(t, used < 12, "%.1f MiB", used)
	runtime.KeepAlive(n)
}

// TestOpenDoesNotWaitForTheMirror has reading the mirror stop at its last step, the line in the log that says what is damaged: Open
// has returned by then, since the socket may not wait for 10,000 records, and what is read from memory waits.
func TestOpenDoesNotWaitForTheMirror(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mirror, _ := filled(t, 3)
		journal, err := os.OpenFile(filepath.Join(mirror, "journal"), os.O_APPEND|os.O_WRONLY, 0)
		assert.NilError(t, err)
		_, err = journal.WriteString("damaged\n")
		assert.NilError(t, errors.Join(err, journal.Close()))
		given, hold := options(mirror, &doer{}), make(held)
		given.Log.Logger.AddHook(hold)
		n := openNode(t, given)
		answered := make(chan bool, 1)
		go func() {
			_, has := n.Get(name(0))
			answered <- has
		}()
		synctest.Wait()
		assert.Equal(t, len(answered), 0, "answered before the mirror was read")
		close(hold)
		assert.Assert(t, <-answered)
	})
}

// held keeps whoever logs until it is closed.
type held chan struct{}

func (h held) Levels() []logrus.Level { return logrus.AllLevels }

func (h held) Fire(*logrus.Entry) error {
	<-h
	return nil
}
