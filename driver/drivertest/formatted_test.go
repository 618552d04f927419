package drivertest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// The catalog pool is formatted again, or is on a new disk, and the data is copied back. Nothing is made by itself; the operator's
// command is what gives the pool its marker, and the volumes are then made of the directories that are there.
func TestFormattedPoolIsTakenIntoUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &points{})
		w.create("radarr", map[string]string{"class": "db"})
		id := w.mount("radarr")
		w.write("radarr", "a row")
		w.unmount("radarr", id)
		w.pass(released)

		pool := w.kernel.HostPath(poolPath)
		assert.NilError(t, os.RemoveAll(filepath.Join(pool, ".homelab-storage")))
		w.revive()
		_, err := os.Stat(filepath.Join(pool, ".homelab-storage"))
		assert.ErrorIs(t, err, os.ErrNotExist, "nothing is made by itself")
		problems := w.node.driver.Health(t.Context()).Problems
		assert.Equal(t, len(problems), 1, "%q", problems)
		assert.Assert(t, strings.HasPrefix(problems[0], `pool "media-apps": it has no records of volumes, and this node knows 1: it was formatted again`), problems[0])
		repair, err := w.node.driver.CatalogAdopt(t.Context())
		assert.NilError(t, err)
		assert.DeepEqual(t, repair, driver.Repair{Lost: []string{"radarr"}, Credentials: []string{}})
		assert.Equal(t, len(w.node.driver.Health(t.Context()).Problems), 0)

		w.create("radarr", map[string]string{"class": "db"})
		id = w.mount("radarr")
		w.read("radarr")
		w.unmount("radarr", id)
		w.remove("radarr")
		_, err = os.Stat(filepath.Join(pool, "radarr", "rows"))
		assert.NilError(t, err, "a directory that was there stays")
		w.node.end(t)
	})
}

// login stores credentials for all nodes, and others of a volume.
func (w *world) login(name, password string) {
	w.t.Helper()
	login := credential.Credentials{Username: "media", Password: mounter.NewSecret(password)}
	assert.NilError(w.t, w.node.driver.CredentialsSet(w.t.Context(), name, login))
}

// logins are the credentials for all nodes as a folder has them, by name; the text is what follows password=.
func logins(t *testing.T, folder string) map[string]string {
	t.Helper()
	found := map[string]string{}
	entries, err := os.ReadDir(folder)
	if !errors.Is(err, os.ErrNotExist) {
		assert.NilError(t, err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue // what a write that was killed has left
		}
		text, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		assert.NilError(t, err)
		_, password, _ := strings.Cut(string(text), "password=")
		found[entry.Name()] = strings.TrimSpace(password)
	}
	return found
}

func (w *world) copies() map[string]string {
	w.t.Helper()
	return logins(w.t, w.kernel.HostPath("/var/lib/"+w.node.name()+"/credentials/.pool"))
}

func (w *world) shared() map[string]string {
	w.t.Helper()
	return logins(w.t, filepath.Join(w.kernel.HostPath(poolPath), ".homelab-storage", "credentials"))
}

// The node's records and its copies of the credentials go onto a catalog pool that was formatted again.
func TestRecordsAreWrittenToAFormattedPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &points{})
		w.create("radarr", map[string]string{"class": "db"})
		w.login("nas", "one")
		w.login("volume-x", "inline")
		all := map[string]string{"nas": "one", "volume-x": "inline"}
		assert.NilError(t, os.RemoveAll(filepath.Join(w.kernel.HostPath(poolPath), ".homelab-storage")))
		w.revive()
		assert.DeepEqual(t, w.copies(), all)
		repair, err := w.node.driver.CatalogRestore(t.Context())
		assert.NilError(t, err)
		assert.DeepEqual(t, repair, driver.Repair{Lost: []string{}, Records: 1, Credentials: []string{"nas", "volume-x"}})
		assert.DeepEqual(t, w.shared(), all)
		w.create("sonarr", map[string]string{"class": "db"})
		w.pass(time.Minute)
		assert.DeepEqual(t, w.copies(), all)
		w.node.end(t)
	})
}

// The pool that is adopted has no credentials: those with a name are kept for it, and those of the volumes that are forgotten are not.
func TestCredentialsOutliveAFormattedPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &points{})
		w.create("radarr", map[string]string{"class": "db"})
		w.login("nas", "one")
		w.login("volume-x", "inline")
		assert.NilError(t, os.RemoveAll(filepath.Join(w.kernel.HostPath(poolPath), ".homelab-storage")))
		w.revive()
		repair, err := w.node.driver.CatalogAdopt(t.Context())
		assert.NilError(t, err)
		assert.DeepEqual(t, repair, driver.Repair{Lost: []string{"radarr"}, Credentials: []string{"nas"}})
		w.pass(time.Minute)
		assert.DeepEqual(t, w.shared(), map[string]string{"nas": "one"})
		assert.DeepEqual(t, w.copies(), map[string]string{"nas": "one"})
		w.node.end(t)
	})
}

// Nobody knows a volume yet, and the first one is made on a pool that was formatted again: its new catalog is taken up without a
// question, and the credentials are still there, whichever step of writing them back fails or kills.
func TestCredentialsOutliveAPoolWithoutVolumes(t *testing.T) {
	for what, kill := range map[string]bool{"fails": false, "kills": true} {
		t.Run(what, func(t *testing.T) {
			steps := 0
			for firstOfAFormattedPool(t, steps+1, kill) {
				steps++
			}
			assert.Assert(t, steps >= 10, "%d steps with credentials", steps)
		})
	}
}

// firstOfAFormattedPool is the first volume, whose Create is hit at a step with credentials. It says whether there is one.
func firstOfAFormattedPool(t *testing.T, step int, kill bool) (hit bool) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &points{})
		w.login("nas", "one")
		w.node.end(t)
		assert.NilError(t, os.RemoveAll(filepath.Join(w.kernel.HostPath(poolPath), ".homelab-storage")))
		w.rise()
		points := w.node.points
		points.aim("credentials", step, kill)
		w.create("radarr", own("db"))
		t.Logf("step %d: %q", step, points.was())
		w.pass(time.Minute)
		assert.DeepEqual(t, w.shared(), map[string]string{"nas": "one"})
		assert.DeepEqual(t, w.copies(), map[string]string{"nas": "one"})
		w.end()
		hit = points.was() != ""
	})
	return hit
}

// A pool that was rolled back has an older password. The node keeps its own until the operator has decided, and stores no other one.
func TestCredentialsOfAPoolThatWasRolledBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &points{})
		w.login("nas", "old")
		w.create("radarr", map[string]string{"class": "db"})
		private := filepath.Join(w.kernel.HostPath(poolPath), ".homelab-storage")
		snapshot := filepath.Join(t.TempDir(), "snapshot")
		assert.NilError(t, os.CopyFS(snapshot, os.DirFS(private)))
		w.login("nas", "new")
		w.create("sonarr", map[string]string{"class": "db"})
		w.node.end(t)
		assert.NilError(t, os.RemoveAll(private))
		assert.NilError(t, os.CopyFS(private, os.DirFS(snapshot)))
		secure(t, private)
		w.rise()
		w.pass(time.Minute)
		assert.DeepEqual(t, w.copies(), map[string]string{"nas": "new"})
		err := w.node.driver.CredentialsSet(t.Context(), "nas", credential.Credentials{Username: "media", Password: mounter.NewSecret("third")})
		assert.ErrorIs(t, err, catalog.ErrFrozen)
		assert.DeepEqual(t, w.copies(), map[string]string{"nas": "new"})
		repair, err := w.node.driver.CatalogRestore(t.Context())
		assert.NilError(t, err)
		assert.DeepEqual(t, repair.Credentials, []string{"nas"})
		w.pass(time.Minute)
		assert.DeepEqual(t, w.shared(), map[string]string{"nas": "new"})
		assert.DeepEqual(t, w.copies(), map[string]string{"nas": "new"})
		w.node.end(t)
	})
}

// secure gives credentials the mode back that a copy has lost.
func secure(t *testing.T, private string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(private, "credentials"))
	assert.NilError(t, err)
	for _, entry := range entries {
		assert.NilError(t, os.Chmod(filepath.Join(private, "credentials", entry.Name()), 0o600))
	}
}
