package driver_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"github.com/homelab-storage/homelab-storage/driver/holder"
)

// put makes a file in a volume's directory.
func (b *bench) put(t *testing.T, volume, name, content string) {
	t.Helper()
	file := filepath.Join(b.kernel.HostPath(poolPath), volume, name)
	assert.NilError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	assert.NilError(t, os.WriteFile(file, []byte(content), 0o600))
}

const sqlite = "SQLite format 3\x00"

// deep is as far down as Plex has its databases, and below what a quick look sees; abyss is below what any look sees.
const deep = "Library/Application Support/Plex Media Server/Plug-in Support/Databases/"

var abyss = strings.Repeat("d/", 40)

// held says how this node holds a volume's directory.
func (b *bench) held(t *testing.T, volume string) string {
	t.Helper()
	text, err := os.ReadFile(b.recordFile(volume))
	assert.NilError(t, err)
	if strings.Contains(string(text), `"mode": "exclusive"`) {
		return "exclusive"
	}
	return "shared"
}

// A class that several nodes may use is for one node alone when a database is anywhere inside, and when that is not known.
func TestSharedUntilADatabase(t *testing.T) {
	cases := []struct {
		name, want string
		fill       func(t *testing.T, b *bench)
	}{
		{"empty", "shared", func(*testing.T, *bench) {}},
		{"a database far down", "exclusive", func(t *testing.T, b *bench) {
			t.Helper()
			b.put(t, "vol", deep+"com.plexapp.plugins.library.db", sqlite)
		}},
		{"a database after many names", "exclusive", func(t *testing.T, b *bench) {
			t.Helper()
			for i := range 2500 {
				b.put(t, "vol", fmt.Sprintf("a/%04d.txt", i), "")
			}
			b.put(t, "vol", "b/app.db", sqlite)
		}},
		{"a database after many files", "exclusive", func(t *testing.T, b *bench) {
			t.Helper()
			for i := range 250 {
				b.put(t, "vol", fmt.Sprintf("a/%03d.txt", i), "")
			}
			b.put(t, "vol", "b/app.db", sqlite)
		}},
		{"many files and no database", "shared", func(t *testing.T, b *bench) {
			t.Helper()
			for i := range 2500 {
				b.put(t, "vol", fmt.Sprintf("a/%04d.txt", i), "")
			}
		}},
		{"too deep to be looked through", "exclusive", func(t *testing.T, b *bench) {
			t.Helper()
			b.put(t, "vol", abyss+"readme.txt", "")
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.create(t, "vol", map[string]string{"class": "config"})
			c.fill(t, b)
			b.mount(t, "vol", "a")
			assert.Equal(t, b.held(t, "vol"), c.want)
		})
	}
}

// What cannot be looked through says so to a second node, and what to do.
func TestTooLargeToBeLookedThroughIsForOneNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.create(t, "vol", map[string]string{"class": "config"})
		b.mount(t, "vol", "a")
		b.change(t, "vol", func(record *holder.Record) { record.Holders = append(record.Holders, elsewhere(holder.Shared)) })
		b.put(t, "vol", abyss+"readme.txt", "")
		defer b.run(t)()
		b.problem(t, "vol", "it is too large to be looked through for databases, and node node7 uses it too, since 2026-03-01T12:00:00Z")
		assert.NilError(t, b.driver.Unmount(t.Context(), "vol", "a"))
		b.problem(t, "vol", "")
		_, err := b.driver.Mount(t.Context(), "vol", "again", engine())
		assert.ErrorContains(t, err, "node node7 uses it, and this volume needs it for one node alone")
		assert.ErrorContains(t, err, "It is too large to be looked through for databases; one that has none, and that several nodes use, is made with access=shared")
		b.create(t, "open", map[string]string{"access": "shared"})
		b.put(t, "open", abyss+"readme.txt", "")
		b.mount(t, "open", "a")
		assert.Equal(t, b.held(t, "open"), "shared", "the operator has said so")
	})
}

// A database that appears where a quick look does not see it is found within a minute and a few seconds.
func TestDatabaseThatAppearsFarDownIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.create(t, "vol", map[string]string{"class": "data"})
		b.put(t, "vol", deep+"readme.txt", "")
		b.mount(t, "vol", "a")
		assert.Equal(t, b.held(t, "vol"), "shared")
		defer b.run(t)()
		b.put(t, "vol", deep+"app.db", sqlite)
		poll.WaitOn(t, func(poll.LogT) poll.Result {
			if b.held(t, "vol") == "exclusive" {
				return poll.Success()
			}
			return poll.Continue("it is shared")
		}, poll.WithTimeout(70*time.Second), poll.WithDelay(time.Second))
	})
}
