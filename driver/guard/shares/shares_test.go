package shares_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// All of a volume is looked through ever less often after a Mount, and another Mount begins anew.
func TestRoundLooksThrough(t *testing.T) {
	b := newBench(t)
	for range 2 {
		b.Mounted("films")
		for _, pause := range []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute, time.Hour, time.Hour} {
			assert.Equal(t, len(b.round(t, pause-time.Second, b.films)), 0, "a second before %s", pause)
			assert.DeepEqual(t, b.round(t, time.Second, b.films), []string{"films"})
		}
	}
}

// A container that fails because of its database, and is started again every few seconds, is looked at all the same.
func TestRoundLooksThroughWhatIsMountedAgainAndAgain(t *testing.T) {
	b := newBench(t)
	b.put(t, "app.db", sqlite)
	for range 4 {
		b.Mounted("films")
		b.round(t, 4*time.Second, b.films)
	}
	assert.Assert(t, b.Warnings.Of("films") != "")
}

// What lies in a volume is told once, and no longer than it does.
func TestRoundWarns(t *testing.T) {
	b := newBench(t)
	b.put(t, "app.db", sqlite)
	b.round(t, 0, b.films)
	b.round(t, time.Hour, b.films)
	assert.Assert(t, strings.HasPrefix(b.Warnings.Of("films"), "app.db in this volume is a database (SQLite): "))
	assert.Equal(t, b.Problems.Of("films"), "")
	assert.Equal(t, strings.Count(b.log.String(), "a database lies on a share"), 1)
	assert.NilError(t, os.Remove(filepath.Join(b.kernel.ShareFiles(nas), "films/app.db")))
	b.round(t, time.Hour, b.films)
	assert.Equal(t, b.Warnings.Of("films"), "")
}

// The first bytes of what is open are read every 20 s; a database is a problem until it is closed.
func TestRoundReadsWhatIsOpen(t *testing.T) {
	b := newBench(t)
	b.put(t, "film.mkv", "\x1aE\xdf\xa3")
	b.round(t, 0, b.films)
	b.open("film.mkv")
	assert.Equal(t, len(b.round(t, 10*time.Second, b.films)), 0)
	assert.Equal(t, len(b.round(t, 10*time.Second, b.films)), 1)
	assert.Equal(t, b.Problems.Of("films"), "")
	b.put(t, "config/app", sqlite)
	b.open("film.mkv", "config/app")
	assert.Equal(t, len(b.round(t, 10*time.Second, b.films)), 0)
	assert.Equal(t, len(b.round(t, 10*time.Second, b.films)), 1)
	b.round(t, 20*time.Second, b.films)
	assert.Assert(t, strings.HasPrefix(b.Problems.Of("films"), "radarr (process 8) has the database config/app (SQLite) open in this volume: "))
	assert.Equal(t, strings.Count(b.log.String(), "a database is open on a share"), 1)
	b.open("film.mkv")
	b.round(t, 10*time.Second, b.films)
	assert.Equal(t, b.Problems.Of("films"), "")
}

// Databases belong on other storage, cannot be written where nothing can, and what nobody uses is in nobody's way.
func TestRoundPassesOver(t *testing.T) {
	b := newBench(t)
	pool, readOnly, unused := b.films, b.films, b.films
	pool.Name, pool.Location.Kind = "db", backend.OCFS2
	readOnly.Name, readOnly.Location.ReadOnly = "archive", true
	unused.Name = "unused"
	due := b.Round(t.Context(), []catalog.Record{pool, readOnly, unused, b.films}, func(name string) bool { return name != "unused" })
	assert.DeepEqual(t, due, []string{"films"})
	asked := b.kernel.Actions(mountertest.OpOpenFiles)
	assert.Equal(t, len(asked), 1)
	assert.DeepEqual(t, asked[0].Args, []string{b.target})
	assert.Equal(t, len(b.Round(t.Context(), []catalog.Record{pool, unused}, func(name string) bool { return name == "db" })), 0)
	assert.Equal(t, len(b.kernel.Actions(mountertest.OpOpenFiles)), 1, "there is nothing to ask")
}

// A problem ends with the use, a warning with the volume; so does what is known.
func TestRoundForgets(t *testing.T) {
	b := newBench(t)
	b.put(t, "app.db", sqlite)
	b.open("app.db")
	b.round(t, 0, b.films)
	assert.Assert(t, b.Problems.Of("films") != "")
	b.Round(t.Context(), []catalog.Record{b.films}, func(string) bool { return false })
	assert.Equal(t, b.Problems.Of("films"), "")
	assert.Assert(t, b.Warnings.Of("films") != "")
	assert.Equal(t, len(b.round(t, time.Second, b.films)), 0, "it is the same volume, looked through a moment ago")
	b.Round(t.Context(), nil, nil)
	assert.Equal(t, b.Warnings.Of("films"), "")
	assert.Equal(t, len(b.round(t, time.Second, b.films)), 1, "it is another one of that name")
}

// What is open is not known for a moment; what is due is looked through all the same.
func TestRoundWithoutAnAnswer(t *testing.T) {
	b := newBench(t)
	b.put(t, "app.db", sqlite)
	b.kernel.Fail(mountertest.OpOpenFiles, 1, errors.New("no /proc"))
	assert.DeepEqual(t, b.round(t, 0, b.films), []string{"films"})
	assert.Assert(t, b.Warnings.Of("films") != "")
}
