package lab

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"
)

// A lab whose process died leaves its folder; the next one keeps its logs and removes the rest. A
// living lab's folder stays.
func TestSweep(t *testing.T) {
	cache, kept := t.TempDir(), t.TempDir()
	living, err := newRun(cache, kept)
	assert.NilError(t, err)
	dead := filepath.Join(cache, "runs", "dead")
	assert.NilError(t, os.MkdirAll(filepath.Join(dead, "logs"), 0o755))
	assert.NilError(t, os.WriteFile(filepath.Join(dead, "logs", "node1.console.log"), []byte("panic"), 0o600))
	assert.NilError(t, os.WriteFile(filepath.Join(dead, "lock"), nil, 0o600))

	next, err := newRun(cache, kept)
	assert.NilError(t, err)
	_, err = os.Stat(dead)
	assert.ErrorIs(t, err, os.ErrNotExist)
	log, err := os.ReadFile(filepath.Join(kept, "unfinished-dead", "node1.console.log"))
	assert.NilError(t, err)
	assert.Equal(t, string(log), "panic")
	_, err = os.Stat(living.path("nas"))
	assert.NilError(t, err)

	assert.NilError(t, next.remove())
	assert.NilError(t, living.remove())
	left, err := os.ReadDir(filepath.Join(cache, "runs"))
	assert.NilError(t, err)
	assert.Equal(t, len(left), 0)
}

func TestKeepLogsReplaces(t *testing.T) {
	r, err := newRun(t.TempDir(), filepath.Join(t.TempDir(), "logs"))
	assert.NilError(t, err)
	assert.NilError(t, r.root.WriteFile("logs/first", nil, 0o644))
	target, err := r.keepLogs("Test")
	assert.NilError(t, err)
	assert.NilError(t, r.root.Rename("logs/first", "logs/second"))
	_, err = r.keepLogs("Test")
	assert.NilError(t, err)
	entries, err := os.ReadDir(target)
	assert.NilError(t, err)
	assert.Equal(t, len(entries), 1)
	assert.Equal(t, entries[0].Name(), "second")
	assert.NilError(t, r.remove())
}

func TestOptions(t *testing.T) {
	options, err := Options{}.complete()
	assert.NilError(t, err)
	assert.Equal(t, options.Nodes, 1)
	assert.DeepEqual(t, options.LUNs, []LUN{MediaApps})
	_, err = os.Stat(filepath.Join(options.Module, "integration", "lab", "doc.go"))
	assert.NilError(t, err)

	for name, test := range map[string]struct {
		options Options
		want    string
	}{
		"too many nodes": {Options{Nodes: 10}, "10 nodes asked for, between 1 and 9 are possible"},
		"negative":       {Options{Nodes: -1}, "-1 nodes asked for"},
		"password":       {Options{Password: "a\nb"}, `the SMB password "a\nb" has a line break`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := test.options.complete()
			assert.ErrorContains(t, err, test.want)
		})
	}
}
