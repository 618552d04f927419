package drivertest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/holder"
)

// waits has a node mount a volume that it has to wait for. What the Mount says comes when it is over.
func (w *world) waits(on *node) chan error {
	answer := make(chan error, 1)
	go func() {
		_, err := on.driver.Mount(w.t.Context(), "vol", "waiting", running)
		answer <- err
	}()
	return answer
}

// alone has a node take the directory of a volume for itself alone, by another volume. Afterwards it leaves it, with a file.
func (w *world) alone(on *node) (leave func(content string)) {
	w.t.Helper()
	assert.NilError(w.t, on.driver.Create(w.t.Context(), "alone", own("db", "subdir", "app")))
	target, err := on.driver.Mount(w.t.Context(), "alone", "there", running)
	assert.NilError(w.t, err)
	return func(content string) {
		w.t.Helper()
		assert.NilError(w.t, os.WriteFile(filepath.Join(target, "app.db"), []byte(content), 0o600))
		assert.NilError(w.t, on.driver.Unmount(w.t.Context(), "alone", "there"))
	}
}

// Two nodes wait for a directory in which they saw no database, and a third one, which has it for itself alone, leaves it. Both get it,
// unless a database was made meanwhile: then one does.
func TestTwoNodesWaitForADirectory(t *testing.T) {
	for left, want := range map[string]struct {
		mounted int
		mode    holder.Mode
	}{
		"no database": {2, holder.Shared},
		sqlite:        {1, holder.Exclusive},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, &points{})
			second, owner := w.another(), w.more(3)
			defer owner.end(t)
			defer w.end()
			w.create("vol", own("config", "subdir", "app"))
			w.pass(brief) // seen on the others
			leave := w.alone(owner)
			answers := []chan error{w.waits(w.node), w.waits(second)}
			w.pass(time.Second)
			leave(left)
			mounted := 0
			for _, answer := range answers {
				if err := <-answer; err == nil {
					mounted++
				} else {
					_, held := errors.AsType[*holder.HeldError](err)
					assert.Assert(t, held, "%v", err)
				}
			}
			assert.Equal(t, mounted, want.mounted, left)
			record := w.holders()
			assert.Equal(t, len(record.Holders), mounted)
			assert.Equal(t, record.Mode, want.mode, "at once, and not when the volume is looked into the next time")
			w.pass(sweeps)
			assert.DeepEqual(t, w.holders(), record)
		})
	}
}

// holders are those of the volume's directory.
func (w *world) holders() holder.Record {
	w.t.Helper()
	record, err := w.node.driver.HolderOf(w.t.Context(), "vol")
	assert.NilError(w.t, err)
	return record.Record
}

// A node that waited for a directory, and then cannot look into it, does not keep it, unless its containers use it already: those had lost
// their hold.
func TestWaitedForADirectoryInVain(t *testing.T) {
	for _, inUse := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, &points{})
			owner := w.another()
			defer w.end()
			w.create("vol", own("config", "subdir", "app"))
			w.pass(brief) // seen on the other
			want := 0
			if inUse {
				want = 1
				w.mount("vol")
				_, err := owner.driver.HolderBreak(t.Context(), "vol", "node1", true)
				assert.NilError(t, err)
			}
			leave := w.alone(owner)
			w.node.points.aim("guard", 2, false)
			answer := w.waits(w.node)
			w.pass(time.Second)
			leave(sqlite)
			assert.ErrorContains(t, <-answer, `volume "vol": looking for databases in the volume: injected: input/output error`)
			assert.Equal(t, len(w.holders().Holders), want)
		})
	}
}
