package holder_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/holder"
)

func TestBreak(t *testing.T) {
	l := newLab(t)
	a, b := l.node(1, "boot-a"), l.node(2, "boot-b")
	radarr := l.directory("radarr")
	l.join(a, "radarr", holder.Exclusive, vol1)

	assert.ErrorContains(t, b.Break(t.Context(), radarr, "node-9", true), "it has none; \"docker homelab holder show media-apps radarr\" says who has")
	err := b.Break(t.Context(), radarr, "node-1", false)
	assert.ErrorIs(t, err, holder.ErrLive)
	assert.Error(t, err, "break the hold of node node-1 on directory \"radarr\" of pool media-apps: the node may still write to the directory: "+
		"it has it since 2026-03-01 12:00:00 UTC with the volumes "+vol1+". Stop the containers that use them on node node-1 and the hold goes "+
		"by itself; if you made sure that nothing there can write, use --force")
	assert.ErrorIs(t, a.Break(t.Context(), radarr, "node-1", false), holder.ErrLive, "not one's own either")

	l.region.set(1, false)
	b.kernel.blind = true
	assert.ErrorIs(t, b.Break(t.Context(), radarr, "node-1", false), holder.ErrLive, "unknown means alive")
	b.kernel.blind = false
	assert.NilError(t, b.Break(t.Context(), radarr, "node-1", false))
	assert.DeepEqual(t, l.holders(b, "radarr"), []string{})

	l.region.set(1, true)
	l.join(a, "radarr", holder.Exclusive, vol1)
	assert.NilError(t, b.Break(t.Context(), radarr, "node-1", true))
	l.join(b, "radarr", holder.Exclusive, vol1)
	l.release(a, "radarr", vol1) // a hold that was broken is no error to release, and does not touch the new one
	assert.DeepEqual(t, l.holders(b, "radarr"), []string{"node-2/managed"})
}

// TestDamagedRecord: nobody gets a directory of which nobody knows who has it.
func TestDamagedRecord(t *testing.T) {
	for _, text := range []string{
		"", "{", `{"version":2,"subdir":"radarr"}`, `{"version":1,"subdir":"other"}`, `{"version":1,"subdir":"radarr"}{}`,
		`{"version":1,"subdir":"radarr","holders":[{"name":"node-1","boot_id":"x","volumes":[]}]}`,
		`{"version":1,"subdir":"radarr","holders":[{"name":"node-1","boot_id":"x","volumes":[{"volume":"v","mode":"none"}]}]}`,
	} {
		l := newLab(t)
		a := l.node(1, "boot-a")
		l.join(a, "radarr", holder.Exclusive, vol1)
		file := filepath.Join(l.pool.Private, backend.HoldersFolder, backend.DirectoryKey("radarr"), "record.json")
		assert.NilError(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := a.Join(t.Context(), l.directory("radarr"), holder.Exclusive, vol1)
		assert.ErrorIs(t, err, holder.ErrDamaged)
		assert.ErrorContains(t, err, "`docker homelab holder break --force` with this volume's name and any node's sets the record aside")
		assert.ErrorIs(t, a.Break(t.Context(), l.directory("radarr"), "node-1", false), holder.ErrDamaged)
		assert.NilError(t, a.Break(t.Context(), l.directory("radarr"), "node-1", true))
		l.join(a, "radarr", holder.Exclusive, vol1)
		kept, err := os.ReadFile(filepath.Join(filepath.Dir(file), "damaged-record.json.1"))
		assert.NilError(t, err)
		assert.Equal(t, string(kept), text)
	}
}

func TestListAndForget(t *testing.T) {
	l := newLab(t)
	a := l.node(1, "boot-a")
	records, err := a.List(t.Context(), l.pool)
	assert.NilError(t, err)
	assert.Equal(t, len(records), 0)
	for _, subdir := range []string{"sonarr", "radarr", "free"} {
		l.join(a, subdir, holder.Exclusive, vol1)
	}
	l.release(a, "free", vol1)
	damaged := filepath.Join(l.pool.Private, backend.HoldersFolder, backend.DirectoryKey("bad"))
	assert.NilError(t, os.Mkdir(damaged, 0o700))
	assert.NilError(t, os.WriteFile(filepath.Join(damaged, "record.json"), []byte("{"), 0o600))
	records, err = a.List(t.Context(), l.pool)
	assert.ErrorIs(t, err, holder.ErrDamaged)
	assert.Equal(t, len(records), 2)
	assert.Equal(t, records[0].Subdir, "radarr")

	free := filepath.Join(l.pool.Private, backend.HoldersFolder, backend.DirectoryKey("free"))
	assert.NilError(t, backend.WriteMark(l.pool.Private, backend.Mark{Volume: vol1, Subdir: "free"}))
	assert.NilError(t, a.Forget(t.Context(), l.directory("free")))
	_, err = os.Stat(free)
	assert.NilError(t, err, "a marked directory is not forgotten")
	assert.NilError(t, backend.RemoveMark(l.pool.Private, "free", vol1))
	assert.NilError(t, a.Forget(t.Context(), l.directory("free")))
	_, err = os.Stat(free)
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.NilError(t, a.Forget(t.Context(), l.directory("radarr")))
	assert.DeepEqual(t, l.holders(a, "radarr"), []string{"node-1/managed"})
}

func TestTwoNodesWithOneName(t *testing.T) {
	l := newLab(t)
	l.join(l.node(1, "boot-a"), "radarr", holder.Exclusive, vol1)
	impostor := l.node(2, "boot-b", func(o *holder.Options) { o.Node = "node-1" })
	_, err := impostor.Join(t.Context(), l.directory("sonarr"), holder.Exclusive, vol1)
	assert.ErrorContains(t, err, `node number 1 is live and has this node's name, "node-1"; give each node a NODE_NAME of its own`)
}

// A node that gets another NODE_NAME under running containers has its holds under the new one, by which others ask for it, and see
// that it has rebooted.
func TestRenamedNode(t *testing.T) {
	l := newLab(t)
	a := l.node(1, "boot-a")
	l.join(a, "radarr", holder.Exclusive, vol1)
	a.options.Node = "renamed"
	a = l.start(a.kernel, a.options)
	result := l.join(a, "radarr", holder.Exclusive, vol1)
	assert.Assert(t, result.Again && a.Own(result.Record.Holders[0]))
	assert.DeepEqual(t, l.holders(a, "radarr"), []string{"renamed/managed"})

	a.kernel.boot = "boot-b"
	assert.NilError(t, l.start(a.kernel, a.options).PublishNode(t.Context(), l.pool))
	l.join(l.node(2, "boot-c"), "radarr", holder.Exclusive, vol1)
}

// Another cluster manager's nodes have no o2cb numbers: with the same one, each would take the others' holds for its own.
func TestNodesWithoutANumber(t *testing.T) {
	l := newLab(t)
	foreign := func(number int) *host {
		made := l.node(number, fmt.Sprint("boot-", number))
		made.kernel.foreign = true
		return made
	}
	for _, node := range []*host{foreign(1), foreign(2)} {
		_, err := node.Join(t.Context(), l.directory("radarr"), holder.Exclusive, vol1)
		assert.ErrorContains(t, err, "this node has no number in an o2cb cluster")
	}
}

func TestNamesThatAreRefused(t *testing.T) {
	l := newLab(t)
	a := l.node(1, "boot-a")
	for _, subdir := range []string{"../x", "/etc", ".", "a//b", "a/../b"} {
		_, err := a.Join(t.Context(), l.directory(subdir), holder.Exclusive, vol1)
		assert.ErrorContains(t, err, "not a clean relative path")
	}
	_, err := a.Join(t.Context(), l.directory("x"), "some", vol1)
	assert.ErrorContains(t, err, `mode "some"`)
	for _, name := range []string{"", "a/b", ".."} {
		options := a.options
		options.Node = name
		_, err := holder.New(t.Context(), options)
		assert.ErrorContains(t, err, "set NODE_NAME")
	}
}

func TestOverlaps(t *testing.T) {
	for _, given := range []struct {
		existing []string
		subdir   string
		text     string
	}{
		{nil, "radarr", ""},
		{[]string{"radarr"}, "radarr", ""},
		{[]string{"radarr"}, "radarr2", ""},
		{[]string{"media/radarr"}, "media/sonarr", ""},
		{[]string{"x", "media"}, "media/radarr", `directory "media/radarr" is inside of "media", which another volume has; choose a directory beside it with subdir=`},
		{[]string{"media/radarr/db"}, "media", `directory "media" contains "media/radarr/db", which another volume has; choose a directory beside it with subdir=`},
		{[]string{""}, "radarr", `directory "radarr" is inside of "", which`},
	} {
		err := holder.Overlaps(given.existing, given.subdir)
		if given.text == "" {
			assert.NilError(t, err)
			continue
		}
		assert.ErrorContains(t, err, given.text)
	}
}

func TestInstanceIsKept(t *testing.T) {
	l := newLab(t)
	l.region.set(1, true)
	a := l.plugin(&kernel{region: l.region, number: 1, boot: "boot-a"}, "")
	l.join(a, "radarr", holder.Exclusive, vol1)
	again := l.start(a.kernel, a.options)
	assert.Assert(t, l.join(again, "radarr", holder.Exclusive, vol1).Again)
}
