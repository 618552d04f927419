package driver_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/holder"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// note is a file of the pool by which plugins ask each other.
type note struct {
	Version int    `json:"version"`
	Token   string `json:"token"`
	Subdir  string `json:"subdir,omitempty"`
	Use     string `json:"use"`
}

func (b *bench) notePath(name string) string {
	return filepath.Join(b.pool.proven().Private, backend.NodesFolder, name)
}

func (b *bench) writeNote(t *testing.T, name string, content note) {
	t.Helper()
	text, err := json.Marshal(content)
	assert.NilError(t, err)
	assert.NilError(t, os.WriteFile(b.notePath(name)+".new", text, 0o600))
	assert.NilError(t, os.Rename(b.notePath(name)+".new", b.notePath(name)))
}

// readNote waits for a file, and removes it.
func (b *bench) readNote(t *testing.T, name string) (read note) {
	t.Helper()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		text, err := os.ReadFile(b.notePath(name))
		if err != nil {
			return poll.Continue("%v", err)
		}
		assert.NilError(t, json.Unmarshal(text, &read))
		return poll.Success()
	}, poll.WithTimeout(15*time.Second), poll.WithDelay(10*time.Millisecond))
	assert.NilError(t, os.Remove(b.notePath(name)))
	return read
}

// A node that is asked says what uses a directory, and gives back what nothing uses.
func TestAnswersOtherNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.create(t, "vol", map[string]string{"class": "db"})
		b.mount(t, "vol", "a")
		defer b.run(t)()
		b.writeNote(t, "node1.asked", note{Version: 1, Token: "first", Subdir: "vol"})
		given := b.readNote(t, "node1.answer")
		assert.Equal(t, given.Token, "first")
		assert.Equal(t, given.Use, "the volume vol is mounted (docker ps --filter volume=vol)")
		b.holders(t, 1)

		// What a plugin left that was killed between taking a hold and counting its use.
		b.change(t, "vol", func(record *holder.Record) {
			record.Holders[0].Uses = append(record.Holders[0].Uses, holder.Use{Volume: strings.Repeat("e", 32), Mode: holder.Exclusive})
		})
		assert.NilError(t, b.driver.Unmount(t.Context(), "vol", "a"))
		b.writeNote(t, "node1.asked", note{Version: 1, Token: "second", Subdir: "vol"})
		given = b.readNote(t, "node1.answer")
		assert.Equal(t, given.Token, "second")
		assert.Equal(t, given.Use, "")
		b.holders(t, 0)
	})
}

// An answer comes while the one who asks still waits for it, and does not say that something was given back which was not.
func TestAnswersInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.create(t, "vol", map[string]string{"class": "db"})
		b.mount(t, "vol", "a")
		b.pool.hang.Store(true)
		call, cancel := context.WithCancel(t.Context())
		mounting := make(chan error, 1)
		go func() {
			_, err := b.driver.Mount(call, "vol", "b", engine())
			mounting <- err
		}()
		synctest.Wait() // it has the volume's turn
		defer b.run(t)()
		began := time.Now()
		b.writeNote(t, "node1.asked", note{Version: 1, Token: "first", Subdir: "vol"})
		given := b.readNote(t, "node1.answer")
		assert.Equal(t, given.Use, "a call for the volume vol is going on")
		assert.Assert(t, time.Since(began) < holder.AskLimit)
		b.pool.hang.Store(false)
		cancel()
		assert.Assert(t, <-mounting != nil)

		b.change(t, "vol", func(record *holder.Record) { record.Holders[0].Uses[0].Volume = strings.Repeat("e", 32) })
		b.kernel.OnCall(func(action mountertest.Action) error {
			if action.Op == mountertest.OpSync {
				return syscall.EIO
			}
			return nil
		})
		b.writeNote(t, "node1.asked", note{Version: 1, Token: "second", Subdir: "vol"})
		given = b.readNote(t, "node1.answer")
		assert.Assert(t, strings.HasSuffix(given.Use, "is not used, but its hold is not given back yet; that is tried again by itself"), given.Use)
	})
}

// A break asks a node that is not proven to be dead.
func TestBreakAsksFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.create(t, "vol", map[string]string{"class": "db"})
		b.mount(t, "vol", "a")
		b.change(t, "vol", func(record *holder.Record) { record.Holders = []holder.Holder{elsewhere(holder.Exclusive)} })
		answered := func(use string, also func()) error {
			refused := make(chan error, 1)
			go func() { refused <- b.driver.HolderBreak(t.Context(), "vol", "node7", false) }()
			question := b.readNote(t, "node7.asked")
			assert.Equal(t, question.Subdir, "vol")
			also()
			b.writeNote(t, "node7.answer", note{Version: 1, Token: question.Token, Use: use})
			return <-refused
		}
		err := answered("the volume vol is used by the containers to stop there: radarr", func() {})
		assert.ErrorIs(t, err, holder.ErrLive)
		assert.ErrorContains(t, err, "Its plugin says: the volume vol is used by the containers to stop there: radarr")
		err = answered("", func() {})
		assert.ErrorContains(t, err, "another one has one too")
		assert.NilError(t, answered("", func() { b.change(t, "vol", func(record *holder.Record) { record.Holders = nil }) }))
	})
}
