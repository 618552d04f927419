package shares_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// A volume, and any other one of the share, can be unmounted while it is looked through, wherever in the mount table the share is.
func TestLookGoesByTheShare(t *testing.T) {
	b := newBench(t)
	b.put(t, "app.db", sqlite)
	whole, elsewhere := filepath.Join(filepath.Dir(b.target), "media"), filepath.Join(b.kernel.Temp(), "elsewhere")
	base := mounter.Place{Side: mounter.Plugin, Path: b.share}
	for _, bind := range []mounter.Bind{{Base: base, Target: whole}, {Base: base, Subdir: "films", Target: elsewhere}} {
		assert.NilError(t, b.kernel.Bind(t.Context(), bind))
	}
	assert.NilError(t, b.kernel.Unmount(t.Context(), b.share))
	assert.NilError(t, b.kernel.MountShare(t.Context(), mounter.Share{Source: nas, Target: b.share}))
	hold := b.kernel.Hold(mountertest.OpDo, "guard 0a1b")
	result := make(chan error, 1)
	go func() { result <- b.Look(t.Context(), b.films) }()
	assert.NilError(t, hold.Reached(t.Context()))
	for _, target := range []string{b.target, whole, elsewhere} {
		assert.NilError(t, b.kernel.Unmount(t.Context(), target))
	}
	b.kernel.Release(hold)
	assert.NilError(t, <-result)
	assert.Assert(t, strings.HasPrefix(b.Warnings.Of("films"), "app.db in this volume is a database"))
}

// A share whose own mount is gone, as after a forced disable of the plugin, is looked at through the volume's.
func TestLookGoesByTheVolume(t *testing.T) {
	b := newBench(t)
	b.put(t, "app.db", sqlite)
	assert.NilError(t, b.kernel.Unmount(t.Context(), b.share))
	assert.NilError(t, b.Look(t.Context(), b.films))
	assert.Assert(t, b.Warnings.Of("films") != "")
}

func TestLookPassesOverWhatIsNotMounted(t *testing.T) {
	b := newBench(t)
	assert.NilError(t, b.kernel.Unmount(t.Context(), b.target))
	assert.NilError(t, b.Look(t.Context(), b.films))
	assert.Equal(t, len(b.kernel.Actions(mountertest.OpDo)), 0)
}

// A server that does not answer says nothing of what is on it: what was known stays, and the next Round asks again.
func TestLookAtAStuckShare(t *testing.T) {
	b := newBench(t)
	b.put(t, "app.db", sqlite)
	b.round(t, 0, b.films)
	b.Mounted("films")
	hold := b.kernel.Hold(mountertest.OpDo, "guard 0a1b")
	limited, cancel := context.WithCancel(t.Context())
	go func() {
		_ = hold.Reached(t.Context())
		cancel()
	}()
	err := b.Look(limited, b.films)
	assert.ErrorIs(t, err, backend.ErrUnavailable)
	assert.ErrorIs(t, err, mounter.ErrStuck)
	assert.ErrorIs(t, b.Look(t.Context(), b.films), mounter.ErrBusy, "one thread waits, and no second one")
	assert.Assert(t, b.Warnings.Of("films") != "")
	b.kernel.Release(hold)
}

// The volumes of a share that hangs cost one thread together: there is a limited number of them for everything.
func TestLooksAtManyVolumesOfAStuckShare(t *testing.T) {
	b := newBench(t)
	var mu sync.Mutex
	hung, end := 0, make(chan struct{})
	b.kernel.OnCall(func(action mountertest.Action) error {
		if action.Op == mountertest.OpDo {
			mu.Lock()
			hung++
			mu.Unlock()
			<-end
		}
		return nil
	})
	base := mounter.Place{Side: mounter.Plugin, Path: b.share}
	for i := range 20 {
		volume := b.films
		volume.ID, volume.Name = fmt.Sprintf("%04x", i), fmt.Sprintf("films%d", i)
		target := filepath.Join(filepath.Dir(b.target), volume.Name)
		assert.NilError(t, b.kernel.Bind(t.Context(), mounter.Bind{Base: base, Subdir: "films", Target: target}))
		limited, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		assert.ErrorIs(t, b.Look(limited, volume), backend.ErrUnavailable)
		cancel()
	}
	mu.Lock()
	assert.Equal(t, hung, 1)
	mu.Unlock()
	close(end)
}

// A look that is cut short says nothing of what it did not reach, and is not made again at once.
func TestLookIsCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.put(t, "app.db", sqlite)
		b.round(t, 0, b.films)
		b.now = b.now.Add(time.Hour)
		assert.NilError(t, os.Remove(filepath.Join(b.kernel.ShareFiles(nas), "films/app.db")))
		b.late = 6 * time.Second
		limited, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		assert.NilError(t, b.Look(limited, b.films), "its caller still hears what was found")
		assert.Assert(t, b.Warnings.Of("films") != "")
		assert.Equal(t, len(b.round(t, time.Minute-time.Second, b.films)), 0)
	})
}

// Time that is over before the files were read says nothing of them: a database that was open is open still, until it is known.
func TestLookIsCutShortAtWhatIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.put(t, "app.db", sqlite)
		b.open("app.db")
		b.round(t, 0, b.films)
		problem := b.Problems.Of("films")
		assert.Assert(t, strings.HasPrefix(problem, "radarr (process 8) has the database app.db (SQLite) open"), problem)
		b.late = 6 * time.Second
		limited, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		assert.NilError(t, b.Look(limited, b.films))
		assert.Equal(t, b.Problems.Of("films"), problem)
		b.late = 0
		b.put(t, "app.db", "no database any more")
		b.round(t, 20*time.Second, b.films)
		assert.Equal(t, b.Problems.Of("films"), "")
	})
}

func TestLookFails(t *testing.T) {
	b := newBench(t)
	b.kernel.Fail(mountertest.OpTable, 1, errors.New("no table"))
	assert.ErrorContains(t, b.Look(t.Context(), b.films), "reading the mount table: ")
	assert.NilError(t, os.Remove(filepath.Join(b.kernel.ShareFiles(nas), "films")))
	assert.ErrorIs(t, b.Look(t.Context(), b.films), os.ErrNotExist)
}
