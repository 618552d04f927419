//go:build lab

package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// leavesNothing proves, when the lab has been stopped, that this machine has nothing of it left: no process in one of its
// network namespaces, no mount, no folder. Call it before the lab is started: cleanups run in reverse.
func leavesNothing(t *testing.T, s *site) {
	t.Helper()
	t.Cleanup(func() {
		if s.lab == nil {
			return
		}
		folder := s.folder()
		assert.DeepEqual(t, processes(t, folder), []string(nil))
		for _, table := range []string{"/proc/self/mountinfo", "/proc/net/unix"} {
			content, err := os.ReadFile(table)
			assert.NilError(t, err)
			assert.Assert(t, !strings.Contains(string(content), folder), "%s has something of %s left", table, folder)
		}
		_, err := os.Stat(folder)
		assert.ErrorIs(t, err, os.ErrNotExist)
	})
}

// folder is the one of the lab's run.
func (s *site) folder() string {
	return filepath.Dir(filepath.Dir(filepath.Dir(s.lab.NAS().Share("torrents"))))
}

// processes returns the command lines that name a folder: qemu, tgtd's and smbd's configuration do. A network namespace lives
// no longer than its processes.
func processes(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	assert.NilError(t, err)
	var found []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(content), folder) {
			found = append(found, strings.ReplaceAll(string(content), "\x00", " "))
		}
	}
	return found
}
