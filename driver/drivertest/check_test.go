package drivertest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/holder"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// check holds the driver against what it acknowledged, after the background had its time.
func (w *world) check() {
	w.t.Helper()
	w.checkNames(true)
	w.checkMounts(true)
	w.checkHolds(true)
	w.checkSecrets(true)
}

// look is a check in the middle of a scenario, whose points are not counted.
func (w *world) look() {
	w.t.Helper()
	if w.node.points.died() {
		w.revive()
	}
	w.counts(false)
	w.check()
	w.counts(true)
}

// checkAtOnce does so right after a point has failed: what was acknowledged is there, and what is used is mounted and held. What the
// failure left may still be on its way.
func (w *world) checkAtOnce() {
	w.t.Helper()
	w.checkNames(false)
	w.checkMounts(false)
	w.checkHolds(false)
	w.checkSecrets(false)
}

// checkNames: what was acknowledged is there, what had no answer is wholly there or wholly gone, and Get, Path and List agree.
func (w *world) checkNames(settled bool) {
	w.t.Helper()
	infos, err := w.node.driver.List(w.t.Context())
	assert.NilError(w.t, err)
	var listed []string
	for _, info := range infos {
		listed = append(listed, info.Name)
	}
	for name, it := range w.volumes {
		if it.maybe && !settled {
			continue // it is on its way
		}
		there := slices.Contains(listed, name)
		assert.Check(w.t, it.maybe || there == it.listed, "volume %s is listed: %v, acknowledged: %v", name, there, it.listed)
		info, err := w.node.driver.Get(w.t.Context(), name)
		path, pathErr := w.node.driver.Path(w.t.Context(), name)
		if !there {
			assert.Check(w.t, errors.Is(err, driver.ErrNotFound) && errors.Is(pathErr, driver.ErrNotFound), "volume %s: %v, %v", name, err, pathErr)
			continue
		}
		assert.Check(w.t, err)
		assert.Check(w.t, pathErr)
		assert.Check(w.t, info.Mountpoint == path && path == w.node.target(name), "%s and %s", info.Mountpoint, path)
		assert.Check(w.t, info.Status["state"] == "ready", "volume %s stays in the state %v", name, info.Status["state"])
	}
	for _, name := range listed {
		assert.Check(w.t, w.volumes[name] != nil, "volume %s was never asked for", name)
	}
}

// checkMounts: what is used is mounted and has its row, and nothing else is.
func (w *world) checkMounts(settled bool) {
	w.t.Helper()
	table, err := w.kernel.Table(w.t.Context(), mounter.Plugin)
	assert.NilError(w.t, err)
	mounted := map[string]bool{}
	for _, line := range table {
		if filepath.Dir(line.Target) == w.node.folder("volumes") {
			mounted[filepath.Base(line.Target)] = true
		}
	}
	for name := range w.volumes {
		uses := w.uses(name)
		wanted := len(uses) > 0
		assert.Check(w.t, mounted[name] == wanted || mounted[name] && !settled, "volume %s with the uses %v is mounted: %v", name, uses, mounted[name])
		if wanted && mounted[name] && w.volumes[name].row != "" {
			w.read(name)
		}
	}
}

// checkHolds: this node holds what it has mounted, and nobody holds anything else.
func (w *world) checkHolds(settled bool) {
	w.t.Helper()
	records, err := w.node.driver.Holders(w.t.Context(), "")
	if errors.Is(err, backend.ErrUnavailable) && !w.usable() {
		return
	}
	assert.Check(w.t, err == nil || w.damaged && errors.Is(err, holder.ErrDamaged), "%v", err)
	held := map[string]bool{}
	for _, record := range records {
		for _, holder := range record.Holders {
			if holder.Name != w.node.name() {
				continue // a dead node's, which nobody has asked for yet
			}
			for _, use := range holder.Uses {
				held[use.Volume] = true
			}
		}
	}
	for name := range w.volumes {
		info, err := w.node.driver.Get(w.t.Context(), name)
		if err != nil {
			continue
		}
		id, _ := info.Status["id"].(string)
		uses := w.uses(name)
		wanted := len(uses) > 0 && info.Status["storage"] == "ocfs2"
		assert.Check(w.t, held[id] == wanted || held[id] && !settled, "volume %s with the uses %v is held: %v", name, uses, held[id])
		delete(held, id)
	}
	assert.Check(w.t, len(held) == 0 || !settled, "holds of volumes that are no more: %v", held)
}

// usable says whether the pool can be used: one that was never used, or formatted again, has no marker, and one that is drained is refused.
func (w *world) usable() bool {
	_, marked := os.Stat(filepath.Join(w.kernel.HostPath(poolPath), backend.PrivateFolder, backend.MarkerFile))
	_, drained := os.Stat(filepath.Join(w.node.folder("state"), "drains", poolName+".json"))
	return marked == nil && errors.Is(drained, fs.ErrNotExist)
}

// checkLeavings: an hour after its last start the driver has swept up what it left half written. Only what is on the node and
// the pool for good counts.
func (w *world) checkLeavings() {
	w.t.Helper()
	w.node.advance(2 * time.Hour)
	w.revive()
	w.check()
	for _, folder := range []string{w.node.folder("state"), w.node.folder("memory"), w.node.run(), w.kernel.HostPath(poolPath), w.kernel.HostPath("/var/lib")} {
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && durable.IsTemporary(entry.Name()) {
				w.t.Errorf("a temporary file is left: %s", strings.TrimPrefix(path, w.kernel.Temp()))
			}
			return err
		})
		assert.Check(w.t, err == nil || errors.Is(err, fs.ErrNotExist), "%v", err)
	}
}

// inTrash finds a removed volume's row in the pool's trash, and returns its entry.
func (w *world) inTrash(name, row string) (entry string) {
	w.t.Helper()
	var entries []driver.TrashEntry
	w.call("list the trash", func(d *driver.Driver) (err error) {
		entries, err = d.TrashList(w.t.Context(), "")
		return err
	})
	for _, one := range entries {
		text, err := os.ReadFile(filepath.Join(w.kernel.HostPath(poolPath), ".homelab-storage", "trash", one.ID, "data", "rows"))
		if one.Volume == name && err == nil && string(text) == row {
			entry = one.ID
		}
	}
	assert.Assert(w.t, entry != "", "the row of %s is not in the trash: %v", name, entries)
	return entry
}
