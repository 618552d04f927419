package shares_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/guard/shares"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// nobrl has applications of one node see each other's locks, and those of no other one.
func nobrl(record *catalog.Record) { record.Location.MountOptions = []string{"nobrl", "vers=3.0"} }

func TestAdmitByWhatLiesInAVolume(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*catalog.Record)
		why    string // it is refused; "" when it is not
	}{
		"a warning is enough": {nil, ""},
		"guard=warn":          {func(record *catalog.Record) { record.Guard = "warn" }, ""},
		"guard=refuse":        {refusing, "app.db in it is a database (SQLite), and guard=refuse is set: "},
		"nobrl":               {nobrl, "app.db in it is a database (SQLite), and with o=nobrl nobody sees another one's locks: "},
		"read-only": {func(record *catalog.Record) {
			refusing(record)
			record.Location.ReadOnly = true
		}, ""},
		"on a pool": {func(record *catalog.Record) {
			refusing(record)
			record.Location.Kind = backend.OCFS2
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			assert.NilError(t, b.admit(t, test.change), "an empty volume")
			b.put(t, "app.db", sqlite)
			if test.why == "" {
				assert.NilError(t, b.admit(t, test.change))
				return
			}
			assert.ErrorContains(t, b.admit(t, test.change), test.why)
			assert.NilError(t, os.Remove(filepath.Join(b.kernel.ShareFiles(nas), "films/app.db")))
			assert.NilError(t, b.admit(t, test.change))
		})
	}
}

// A database that was found is asked for first, which costs one file and not all the names of a share.
func TestAdmitAsksForWhatIsKnown(t *testing.T) {
	b := newBench(t)
	b.put(t, "plex/app.db", sqlite)
	assert.ErrorContains(t, b.admit(t, refusing), "plex/app.db in it is a database")
	b.put(t, "another.db", sqlite)
	assert.ErrorContains(t, b.admit(t, refusing), "plex/app.db in it is a database")
	assert.NilError(t, os.Remove(filepath.Join(b.kernel.ShareFiles(nas), "films/plex/app.db")))
	assert.ErrorContains(t, b.admit(t, refusing), "another.db in it is a database")
}

// A volume in which a database is open has one user, until it is known to be closed.
func TestAdmitByWhatIsOpen(t *testing.T) {
	b := newBench(t)
	b.put(t, "app.db", sqlite)
	b.open("app.db")
	assert.NilError(t, b.admit(t, nil), "nobody knows yet")
	b.round(t, 0, b.films)
	assert.ErrorContains(t, b.admit(t, nil), "radarr (process 8) has the database app.db (SQLite) open in this volume")
	b.kernel.Fail(mountertest.OpOpenFiles, 1, errors.New("no /proc"))
	b.open()
	assert.ErrorContains(t, b.admit(t, nil), "app.db", "without an answer it is open still")
	assert.NilError(t, b.admit(t, nil))
	assert.Equal(t, b.Problems.Of("films"), "")
}

// A share that is slow is no reason to keep containers down.
func TestAdmitWaitsTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.put(t, "app.db", sqlite)
		hold := b.kernel.Hold(mountertest.OpDo, "guard 0a1b")
		began := time.Now()
		assert.NilError(t, b.admit(t, refusing))
		assert.Equal(t, time.Since(began), 2*time.Second)
		b.kernel.Release(hold)
		synctest.Wait()
		assert.ErrorContains(t, b.admit(t, refusing), "app.db in it is a database")
	})
}

func TestRefuses(t *testing.T) {
	var films catalog.Record
	films.Location.Kind = backend.CIFS
	assert.Assert(t, !shares.Refuses(films))
	for _, change := range []func(*catalog.Record){refusing, nobrl} {
		record := films
		change(&record)
		assert.Assert(t, shares.Refuses(record))
		record.Location.Kind = backend.Local
		assert.Assert(t, !shares.Refuses(record))
	}
}
