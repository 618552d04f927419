package catalog_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/assert/cmp"

	"github.com/homelab-storage/homelab-storage/driver/catalog"
)

// frozen is a situation in which the folder does not continue what a node knows.
type frozen struct {
	name string
	// spoil changes the folder behind the node's back; it knows the volumes "aa" and "bb", in that order.
	spoil func(t *testing.T, shared string)
	text  string
	// adopted and restored are what is listed after either command, lost what Adopt keeps.
	adopted, lost, restored []string
}

func situations() []frozen {
	return []frozen{
		{
			name: "formatted anew", text: "catalog.json is missing: the pool was formatted anew, is another one, or the file was deleted",
			spoil:   func(t *testing.T, shared string) { clearFolder(t, shared) },
			adopted: []string{}, lost: []string{"aa", "bb"}, restored: []string{"aa", "bb"},
		},
		{
			name: "another catalog", text: "but this node knows 2 volumes of catalog",
			spoil: func(t *testing.T, shared string) {
				clearFolder(t, shared)
				newNode(t, shared).put(t, record("foreign"))
			},
			adopted: []string{"foreign"}, lost: []string{"aa", "bb"}, restored: []string{"aa", "bb", "foreign"},
		},
		{
			name: "another catalog with a name of ours", text: "the pool was formatted anew or is another one",
			spoil: func(t *testing.T, shared string) {
				clearFolder(t, shared)
				newNode(t, shared).put(t, record("aa"))
			},
			adopted: []string{"aa"}, lost: []string{"aa", "bb"}, restored: []string{"aa", "bb"},
		},
		{
			name: "rolled back", text: "its generation went back from 4 to 2: the pool was rolled back to an older state",
			spoil:   func(t *testing.T, shared string) { copyFolder(t, shared+"-before-b", shared) },
			adopted: []string{"aa"}, lost: []string{"bb"}, restored: []string{"aa", "bb"},
		},
		{
			name: "rolled back and changed since", text: "its generation 4 is not the one that this node saw: the pool was rolled back and changed since",
			spoil: func(t *testing.T, shared string) {
				copyFolder(t, shared+"-before-b", shared)
				other := newNode(t, shared)
				for number := range 3 {
					other.put(t, record(name(number)))
				}
			},
			adopted:  []string{"aa", name(0), name(1), name(2)},
			lost:     []string{"bb"},
			restored: []string{"aa", "bb", name(0), name(1), name(2)},
		},
		{
			name: "rolled back and changed long since", text: "its record of volume aa is of generation 2, this node knows generation 4",
			spoil: func(t *testing.T, shared string) {
				copyFolder(t, shared+"-before-b", shared)
				churn(t, newNode(t, shared))
			},
			adopted: []string{"aa", "churned"}, lost: []string{"bb"}, restored: []string{"aa", "bb", "churned"},
		},
		{
			name: "catalog.json lost", text: "catalog.json is missing",
			spoil: func(t *testing.T, shared string) {
				assert.NilError(t, os.Remove(filepath.Join(shared, "catalog.json")))
			},
			adopted: []string{"aa", "bb"}, lost: []string{}, restored: []string{"aa", "bb"},
		},
		{
			name: "catalog.json damaged", text: "catalog.json is damaged (not a valid record: not one whole JSON value)",
			spoil: func(t *testing.T, shared string) {
				assert.NilError(t, os.WriteFile(filepath.Join(shared, "catalog.json"), []byte(`{"version":1,`), 0o600))
			},
			adopted: []string{"aa", "bb"}, lost: []string{}, restored: []string{"aa", "bb"},
		},
	}
}

// churn makes more changes than catalog.json remembers.
func churn(t *testing.T, n *node) {
	t.Helper()
	made := n.put(t, record("churned"))
	for range 100 {
		made = n.put(t, made)
	}
}

func clearFolder(t *testing.T, shared string) {
	t.Helper()
	assert.NilError(t, os.RemoveAll(shared))
}

// spoiled is a node that finds itself in a situation. It knows a, with a text of the generation after the snapshot, and b.
func spoiled(t *testing.T, situation frozen) (*node, string) {
	t.Helper()
	shared := sharedFolder(t)
	n := newNode(t, shared)
	made := n.put(t, record("aa"))
	copyFolder(t, shared, shared+"-before-b")
	n.put(t, record("bb"))
	n.put(t, made)
	situation.spoil(t, shared)
	n = n.reopen(t)
	err := n.Attach(t.Context(), shared)
	assert.ErrorIs(t, err, catalog.ErrFrozen)
	assert.ErrorContains(t, err, situation.text)
	return n, shared
}

func TestFrozen(t *testing.T) {
	for _, situation := range situations() {
		t.Run(situation.name, func(t *testing.T) {
			n, _ := spoiled(t, situation)
			assert.DeepEqual(t, n.names(), []string{"aa", "bb"})
			assert.Assert(t, cmp.Contains(n.State().Frozen, situation.text))
			_, err := n.Put(t.Context(), record("new"))
			assert.ErrorIs(t, err, catalog.ErrFrozen)
			for _, command := range []string{"docker homelab catalog adopt", "docker homelab catalog restore"} {
				assert.ErrorContains(t, err, command)
			}
			known, _ := n.Get("aa")
			assert.ErrorIs(t, n.Remove(t.Context(), known.ID), catalog.ErrFrozen)
			n = n.reopen(t)
			assert.DeepEqual(t, n.names(), []string{"aa", "bb"}) // nothing was forgotten on disk either
		})
	}
}

func TestAdopt(t *testing.T) {
	for _, situation := range situations() {
		t.Run(situation.name, func(t *testing.T) {
			n, shared := spoiled(t, situation)
			lost, err := n.Adopt(t.Context())
			assert.NilError(t, err)
			assert.DeepEqual(t, names(lost), situation.lost)
			assert.DeepEqual(t, n.names(), situation.adopted)
			works(t, n, shared)
			n = n.reopen(t)
			assert.DeepEqual(t, names(n.Lost()), situation.lost) // kept across a restart
		})
	}
}

func TestRestore(t *testing.T) {
	for _, situation := range situations() {
		t.Run(situation.name, func(t *testing.T) {
			n, shared := spoiled(t, situation)
			_, err := n.Restore(t.Context())
			assert.NilError(t, err)
			assert.DeepEqual(t, n.names(), situation.restored)
			other := newNode(t, shared)
			assert.DeepEqual(t, other.List(), n.List())
			works(t, n, shared)
		})
	}
}

// TestAdoptThenRestore shows that adopting is no way of losing records: what was lost can still be written back.
func TestAdoptThenRestore(t *testing.T) {
	n, _ := spoiled(t, situations()[1])
	_, err := n.Adopt(t.Context())
	assert.NilError(t, err)
	written, err := n.Restore(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, written, 2)
	assert.DeepEqual(t, n.names(), []string{"aa", "bb", "foreign"})
	assert.Equal(t, len(n.Lost()), 0)
}

// TestRestoreUnfreezesTheOthers: a pool that was formatted anew gets its old identity back.
func TestRestoreUnfreezesTheOthers(t *testing.T) {
	shared := sharedFolder(t)
	a, b := newNode(t, shared), newNode(t, shared)
	a.put(t, record("aa"))
	removed := a.put(t, record("removed"))
	assert.NilError(t, a.Remove(t.Context(), removed.ID))
	assert.NilError(t, b.Refresh(t.Context()))
	clearFolder(t, shared)
	assert.ErrorIs(t, a.Attach(t.Context(), shared), catalog.ErrFrozen)
	assert.ErrorIs(t, b.Refresh(t.Context()), catalog.ErrFrozen)
	_, err := a.Restore(t.Context())
	assert.NilError(t, err)
	assert.NilError(t, b.Refresh(t.Context()))
	assert.DeepEqual(t, b.List(), a.List())
	_, err = b.Put(t.Context(), removed)
	assert.ErrorIs(t, err, catalog.ErrGone)
}

// TestRestoreBuriesAgain: what was removed does not come back with an older state of the pool.
func TestRestoreBuriesAgain(t *testing.T) {
	shared := sharedFolder(t)
	n := newNode(t, shared)
	made := n.put(t, record("removed"))
	copyFolder(t, shared, shared+"-old")
	assert.NilError(t, n.Remove(t.Context(), made.ID))
	copyFolder(t, shared+"-old", shared)
	assert.ErrorContains(t, n.Refresh(t.Context()), "went back")
	_, err := n.Restore(t.Context())
	assert.NilError(t, err)
	assert.DeepEqual(t, n.names(), []string{})
	assert.DeepEqual(t, newNode(t, shared).names(), []string{})
}

// TestRightPoolAgain: mounting the right pool ends the freeze by itself.
func TestRightPoolAgain(t *testing.T) {
	shared := sharedFolder(t)
	n := newNode(t, shared)
	n.put(t, record("aa"))
	assert.NilError(t, os.Rename(shared, shared+"-away"))
	assert.ErrorIs(t, n.Attach(t.Context(), shared), catalog.ErrFrozen)
	clearFolder(t, shared)
	assert.NilError(t, os.Rename(shared+"-away", shared))
	assert.NilError(t, n.Refresh(t.Context()))
	assert.Equal(t, n.State().Frozen, "")
	n.put(t, record("bb"))
}

// TestNodeWithoutRecordsTakesAnyCatalog: there is nothing that it could forget.
func TestNodeWithoutRecordsTakesAnyCatalog(t *testing.T) {
	n := newNode(t, sharedFolder(t))
	made := n.put(t, record("aa"))
	assert.NilError(t, n.Remove(t.Context(), made.ID))
	other := sharedFolder(t)
	foreign := newNode(t, other)
	foreign.put(t, record("foreign"))
	assert.NilError(t, n.Attach(t.Context(), other))
	assert.DeepEqual(t, n.List(), foreign.List())
	assert.Equal(t, n.State().UUID, foreign.State().UUID)
}

// works says that a catalog is in full use again, here and on another node.
func works(t *testing.T, n *node, shared string) {
	t.Helper()
	assert.Equal(t, n.State().Frozen, "")
	made := n.put(t, record("zz-after"))
	other := newNode(t, shared)
	assert.DeepEqual(t, other.List(), n.List())
	assert.NilError(t, other.Remove(t.Context(), made.ID))
	assert.NilError(t, n.Refresh(t.Context()))
	assert.DeepEqual(t, other.List(), n.List())
}

func names(records []catalog.Record) []string {
	names := []string{}
	for _, record := range records {
		names = append(names, record.Name)
	}
	return names
}

func TestFrozenText(t *testing.T) {
	n, shared := spoiled(t, situations()[0])
	want := "the volume catalog at " + shared + " is not used: catalog.json is missing: the pool was formatted anew, is another one, or " +
		"the file was deleted. Volumes are listed and mounted from this node's copy, and none is created or removed. Mount the right pool, " +
		"or run \"docker homelab catalog restore\" to write this node's copy into it, or \"docker homelab catalog adopt\" to take it as it is"
	assert.Equal(t, n.State().Frozen, want)
	_, err := n.Put(t.Context(), record("new"))
	assert.Error(t, err, "the volume catalog is frozen: "+want)
	assert.Assert(t, !strings.Contains(err.Error(), "\n"))
}
