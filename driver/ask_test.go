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

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/holder"
	"github.com/homelab-storage/homelab-storage/mounter"
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
			go func() {
				_, err := b.driver.HolderBreak(t.Context(), "vol", "node7", false)
				refused <- err
			}()
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
		assert.ErrorContains(t, err, "Its plugin says: it gave its own hold back, and another plugin there has one too")
		assert.NilError(t, answered("", func() { b.change(t, "vol", func(record *holder.Record) { record.Holders = nil }) }))
	})
}

// A forced break asks as well, so that it can name what uses the volume, goes on whatever the answer is, and forces nobody who gives the
// hold back.
func TestForcedBreakAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.create(t, "vol", map[string]string{"class": "db"})
		b.mount(t, "vol", "a")
		b.change(t, "vol", func(record *holder.Record) { record.Holders = []holder.Holder{elsewhere(holder.Exclusive)} })
		held, err := os.ReadFile(b.recordFile("vol"))
		assert.NilError(t, err)
		const radarr = "the volume vol is used by the containers to stop there: radarr"
		answer := func(question note, use string) {
			b.writeNote(t, "node7.answer", note{Version: 1, Token: question.Token, Use: use})
		}
		free := func() { b.change(t, "vol", func(record *holder.Record) { record.Holders = nil }) }
		for _, test := range []struct {
			name string
			do   func(question note)
			want driver.HolderBroken
			took time.Duration
		}{
			{"names the containers", func(asked note) { answer(asked, radarr) }, driver.HolderBroken{Use: radarr}, 0},
			{"looks for questions every 5 s", func(asked note) {
				<-time.After(6 * time.Second)
				answer(asked, radarr)
			}, driver.HolderBroken{Use: radarr}, 6 * time.Second},
			{"does not answer", func(note) {}, driver.HolderBroken{Unheard: "the plugin of that node does not answer (waited 7s)"}, holder.BriefAskLimit},
			{
				"has two plugins", func(asked note) { answer(asked, "") },
				driver.HolderBroken{Use: "it gave its own hold back, and another plugin there has one too"},
				0,
			},
			{"gives it back", func(asked note) { free(); answer(asked, "") }, driver.HolderBroken{GivenBack: true}, 0},
			{"gives it back without a word", func(note) { free() }, driver.HolderBroken{GivenBack: true}, holder.BriefAskLimit},
		} {
			assert.NilError(t, os.WriteFile(b.recordFile("vol"), held, 0o600))
			began := time.Now()
			var broken driver.HolderBroken
			ended := make(chan error, 1)
			go func() {
				var err error
				broken, err = b.driver.HolderBreak(t.Context(), "vol", "node7", true)
				ended <- err
			}()
			asked := b.readNote(t, "node7.asked")
			assert.Equal(t, asked.Subdir, "vol")
			test.do(asked)
			assert.NilError(t, <-ended, test.name)
			assert.Equal(t, broken, test.want, test.name)
			assert.Assert(t, time.Since(began)-test.took < time.Second && time.Since(began) >= test.took, "%s: %s", test.name, time.Since(began))
			b.holders(t, 0)
		}
	})
}

// Nobody is asked for a hold that is not there, or whose node is proven to be gone.
func TestBreakAsksNobodyInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.create(t, "vol", map[string]string{"class": "db"})
		b.mount(t, "vol", "a")
		began := time.Now()
		_, err := b.driver.HolderBreak(t.Context(), "vol", "node7", true)
		assert.ErrorIs(t, err, holder.ErrNone)
		b.change(t, "vol", func(record *holder.Record) { record.Holders = []holder.Holder{elsewhere(holder.Exclusive)} })
		b.kernel.SetCluster(poolUUID, mounter.Cluster{Name: "homelab", Region: true, Live: []int{0}})
		broken, err := b.driver.HolderBreak(t.Context(), "vol", "node7", true)
		assert.NilError(t, err)
		assert.Equal(t, broken, driver.HolderBroken{})
		assert.Equal(t, time.Since(began), time.Duration(0))
	})
}
