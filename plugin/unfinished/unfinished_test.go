package unfinished

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

func TestUpgrade(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	assert.NilError(t, Forget(state))
	found, err := Read(state)
	assert.NilError(t, err)
	assert.DeepEqual(t, found, Upgrade{})
	_, err = os.Stat(state)
	assert.ErrorIs(t, err, os.ErrNotExist)

	kept := Upgrade{Plugin: "homelab-storage:latest", ID: "1", Settings: []string{"POOL_NAME=a b"}, Began: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	assert.NilError(t, kept.Write(state))
	found, err = Read(state)
	assert.NilError(t, err)
	assert.DeepEqual(t, found, kept)
	info, err := os.Stat(File(state))
	assert.NilError(t, err)
	assert.Equal(t, info.Mode().Perm(), os.FileMode(0o600))
	assert.NilError(t, Forget(state))
	assert.NilError(t, Forget(state))
	found, err = Read(state)
	assert.NilError(t, err)
	assert.DeepEqual(t, found, Upgrade{})
}

func TestUpgradeThatIsNoRecord(t *testing.T) {
	state := t.TempDir()
	for _, text := range []string{"", "{", strings.Repeat(" ", limit+1)} {
		assert.NilError(t, os.WriteFile(File(state), []byte(text), 0o600))
		_, err := Read(state)
		assert.ErrorContains(t, err, "reading whether an upgrade was interrupted, in "+File(state))
		assert.NilError(t, Forget(state), "the plugin runs")
	}
	err := Upgrade{Settings: []string{strings.Repeat("x", limit)}}.Write(state)
	assert.ErrorContains(t, err, "there is room for 65536")
	_, err = os.Stat(File(state))
	assert.ErrorIs(t, err, os.ErrNotExist)
}
