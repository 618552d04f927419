package driver_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/holder"
)

// recordFile is the record of who has a directory of the pool.
func (b *bench) recordFile(subdir string) string {
	return filepath.Join(b.pool.proven().Private, backend.HoldersFolder, backend.DirectoryKey(subdir), "record.json")
}

// change edits the record as another node, or an operator, would.
func (b *bench) change(t *testing.T, subdir string, edit func(*holder.Record)) {
	t.Helper()
	text, err := os.ReadFile(b.recordFile(subdir))
	assert.NilError(t, err)
	var record holder.Record
	assert.NilError(t, json.Unmarshal(text, &record))
	edit(&record)
	text, err = json.Marshal(record)
	assert.NilError(t, err)
	assert.NilError(t, os.WriteFile(b.recordFile(subdir), text, 0o600))
}

// problem waits for what the driver says of a volume.
func (b *bench) problem(t *testing.T, volume, want string) {
	t.Helper()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		info, err := b.driver.Get(t.Context(), volume)
		assert.NilError(t, err)
		text, _ := info.Status["problem"].(string)
		if want == "" && text == "" || want != "" && strings.Contains(text, want) {
			return poll.Success()
		}
		return poll.Continue("it says %q", text)
	}, poll.WithTimeout(10*time.Second), poll.WithDelay(20*time.Millisecond))
}

func elsewhere(mode holder.Mode) holder.Holder {
	return holder.Holder{
		Node: 7, Name: "node7", Boot: "another", Instance: "x", Since: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Uses: []holder.Use{{Volume: "0123456789abcdef0123456789abcdef", Mode: mode}},
	}
}

// A hold that is gone is taken again when nobody else has the directory.
func TestLostHoldIsTakenAgain(t *testing.T) {
	b := newBench(t)
	b.create(t, "vol", map[string]string{"class": "db"})
	b.mount(t, "vol", "a")
	b.change(t, "vol", func(record *holder.Record) { record.Holders = nil })
	defer b.run(t)()
	b.holders(t, 1)
	b.problem(t, "vol", "")
}

// When another node has it by now, both may be writing, which is said until it is over.
func TestLostHoldOfAnotherNodeIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.create(t, "vol", map[string]string{"class": "db"})
		b.mount(t, "vol", "a")
		b.change(t, "vol", func(record *holder.Record) { record.Holders = []holder.Holder{elsewhere(holder.Exclusive)} })
		defer b.run(t)()
		b.problem(t, "vol", "but node node7 has it, since 2026-03-01T12:00:00Z: two nodes may be writing to it")
		health := b.driver.Health(t.Context())
		assert.Assert(t, len(health.Problems) == 1 && strings.HasPrefix(health.Problems[0], `volume "vol": containers of this node use it`), health.Problems)
		b.change(t, "vol", func(record *holder.Record) { record.Holders = nil })
		b.problem(t, "vol", "")
	})
}

// A database appears in a volume that is shared until then.
func TestDatabaseAppearsInASharedVolume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		for _, name := range []string{"alone", "shared"} {
			b.create(t, name, map[string]string{"class": "config"})
			b.mount(t, name, name)
		}
		b.change(t, "shared", func(record *holder.Record) { record.Holders = append(record.Holders, elsewhere(holder.Shared)) })
		for _, name := range []string{"alone", "shared"} {
			file := filepath.Join(b.kernel.HostPath(poolPath), name, "app.db")
			assert.NilError(t, os.WriteFile(file, []byte("SQLite format 3\x00"+strings.Repeat("\x00", 100)), 0o600))
		}
		defer b.run(t)()
		b.problem(t, "shared", "a database has appeared in it, and node node7 uses it too, since 2026-03-01T12:00:00Z: rows will be lost")
		poll.WaitOn(t, func(poll.LogT) poll.Result {
			text, err := os.ReadFile(b.recordFile("alone"))
			assert.NilError(t, err)
			if strings.Contains(string(text), `"mode": "exclusive"`) {
				return poll.Success()
			}
			return poll.Continue("%s", text)
		}, poll.WithTimeout(10*time.Second))
		assert.NilError(t, b.driver.Unmount(t.Context(), "shared", "shared"))
		b.problem(t, "shared", "")
		_, err := b.driver.Mount(t.Context(), "shared", "again", driver.Engine{PID: 1, Started: 100})
		assert.ErrorContains(t, err, "node node7 uses it, and this volume needs it for one node alone")
	})
}
