package drivertest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

const (
	nas    = "//192.168.1.100/media"
	sqlite = "SQLite format 3\x00"
	// named is how long an open database may stay unnamed.
	named = 31 * time.Second
)

// films is a volume in use on a share, whose files are at the path that is returned.
func films(w *world, more ...string) (folder, id string) {
	w.t.Helper()
	w.create("films", own("", append([]string{"type", "cifs", "device", nas + "/films", "o", "username=bob,password=canary"}, more...)...))
	return filepath.Join(w.kernel.ShareFiles(nas), "films"), w.mount("films")
}

// put puts a file onto a share, as any of its users may.
func put(t *testing.T, name, content string) {
	t.Helper()
	assert.NilError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	assert.NilError(t, os.WriteFile(name, []byte(content), 0o600))
}

// says is what is told of a volume.
func says(w *world, volume, key string) string {
	w.t.Helper()
	info, err := w.node.driver.Get(w.t.Context(), volume)
	assert.NilError(w.t, err)
	switch told := info.Status[key].(type) {
	case string:
		return told
	case []string:
		return strings.Join(told, "\n")
	}
	return ""
}

func remount(w *world) error {
	_, err := w.node.driver.Mount(w.t.Context(), "films", "another", driver.Engine{PID: 1, Started: 1})
	return err
}

// guarding runs a test of the guard in a bubble of its own.
func guarding(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &points{})
		test(w)
		w.node.end(t)
	})
}

// What an application makes minutes after its start is found; it warns, with the commands, and takes nothing down.
func TestGuardWarns(t *testing.T) {
	guarding(t, func(w *world) {
		folder, _ := films(w)
		put(t, filepath.Join(folder, "Thumbs.db"), "not a database")
		w.pass(time.Minute)
		assert.Assert(t, !strings.Contains(says(w, "films", "warnings"), "database"))
		put(t, filepath.Join(folder, "My App/app.db"), sqlite)
		w.pass(11 * time.Minute)
		text := says(w, "films", "warnings")
		golden.Assert(t, text[strings.Index(text, "\n")+1:], "guard-warning.golden")
		assert.Equal(t, says(w, "films", "problem"), "")
		health := w.node.driver.Health(w.t.Context())
		assert.Equal(t, len(health.Warnings), 1)
		assert.Equal(t, len(health.Problems), 0)
		assert.Equal(t, strings.Count(w.log.String(), "a database lies on a share"), 1)
		assert.NilError(t, remount(w))
		assert.NilError(t, os.Remove(filepath.Join(folder, "My App/app.db")))
		w.pass(2 * time.Minute)
		assert.Assert(t, !strings.Contains(says(w, "films", "warnings"), "app.db"))
	})
}

// With guard=refuse, and with nobrl, the next Mount is refused; those that are mounted go on.
func TestGuardRefuses(t *testing.T) {
	for name, more := range map[string][]string{"refuse": {"guard", "refuse"}, "nobrl": {"o", "username=bob,password=canary,nobrl"}} {
		t.Run(name, func(t *testing.T) {
			guarding(t, func(w *world) {
				folder, id := films(w, more...)
				put(t, filepath.Join(folder, "app.db"), sqlite)
				err := remount(w)
				golden.Assert(t, strings.ReplaceAll(err.Error(), says(w, "films", "id"), "ID"), "guard-"+name+".golden")
				w.unmount("films", id)
				assert.ErrorContains(t, remount(w), "app.db in it is a database")
				assert.ErrorContains(t, w.node.driver.Create(w.t.Context(), "again", own("", append([]string{
					"type", "cifs", "device", nas + "/films", "o", "username=bob,password=canary",
				}, more...)...)), "app.db in it is a database")
				assert.NilError(t, os.Remove(filepath.Join(folder, "app.db")))
				assert.NilError(t, remount(w))
			})
		})
	}
}

// A database that is open through the volume is a problem at once, whatever guard says, and nobody else may mount it until it is
// closed; a file that only looks like one, and one that is only read, is none.
func TestGuardOfWhatIsOpen(t *testing.T) {
	guarding(t, func(w *world) {
		folder, id := films(w)
		put(t, filepath.Join(folder, "film.mkv"), "\x1aE\xdf\xa3")
		put(t, filepath.Join(folder, "config/app"), sqlite)
		target := w.node.target("films")
		w.kernel.SetOpenFiles(target, mounter.OpenFile{PID: 7, Name: "transmission", Path: "film.mkv"})
		w.pass(named)
		assert.Equal(t, says(w, "films", "problem"), "")
		w.kernel.SetOpenFiles(target, mounter.OpenFile{PID: 7, Name: "transmission", Path: "film.mkv"}, mounter.OpenFile{PID: 8, Name: "radarr", Path: "config/app"})
		w.pass(named)
		golden.Assert(t, says(w, "films", "problem"), "guard-open.golden")
		assert.Equal(t, len(w.node.driver.Health(w.t.Context()).Problems), 1)
		assert.ErrorContains(t, remount(w), "radarr (process 8) has the database config/app (SQLite) open in this volume")
		_, err := w.node.driver.Mount(w.t.Context(), "films", id, driver.Engine{PID: 1, Started: 1})
		assert.NilError(t, err, "docker cp of the container that has it open")
		w.kernel.SetOpenFiles(target)
		assert.NilError(t, remount(w), "its process has ended")
		assert.Equal(t, says(w, "films", "problem"), "")
	})
}

// A share that does not answer holds up neither a Mount nor an Unmount, nor the looks at other servers.
func TestGuardLeavesAStuckShareAlone(t *testing.T) {
	guarding(t, func(w *world) {
		_, id := films(w, "guard", "refuse")
		w.create("shows", own("", "type", "cifs", "device", "//192.168.1.101/tv", "o", "username=bob,password=canary"))
		w.mount("shows")
		put(t, filepath.Join(w.kernel.ShareFiles("//192.168.1.101/tv"), "tv.db"), sqlite)
		hold := w.kernel.Hold(mountertest.OpDo, "guard "+says(w, "films", "id"))
		began := time.Now()
		assert.NilError(t, remount(w), "what is not known in time is not refused")
		assert.Assert(t, time.Since(began) < 3*time.Second)
		w.pass(2 * time.Minute)
		assert.Assert(t, strings.Contains(says(w, "shows", "warnings"), "tv.db"))
		assert.NilError(t, w.node.driver.Unmount(w.t.Context(), "films", id))
		w.kernel.Release(hold)
		w.pass(time.Minute)
	})
}
