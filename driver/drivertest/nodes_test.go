package drivertest

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
)

// listed says whether a node lists a volume.
func (n *node) listed(t *testing.T, name string) bool {
	t.Helper()
	infos, err := n.driver.List(t.Context())
	assert.NilError(t, err)
	return slices.ContainsFunc(infos, func(info driver.Info) bool { return info.Name == name })
}

// What one node makes or removes, another one lists, or does not list any more, within a second, whenever it comes.
func TestOtherNodesSeeAChangeWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &points{})
		second := w.another()
		defer w.end()
		for range 20 {
			w.create("vol", own("db"))
			w.pass(time.Second)
			assert.Assert(t, second.listed(t, "vol"), "a volume is not listed a second after it was made")
			w.pass(70 * time.Millisecond) // at another moment between two looks
			w.remove("vol")
			w.pass(time.Second)
			assert.Assert(t, !second.listed(t, "vol"), "a volume is listed a second after it was removed")
		}
	})
}

// A hold that is lost while a container uses the volume is named within ten seconds, whenever that is: once in the log, and in Status as
// long as it is so.
func TestLostHoldIsNamedInTimeAndLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &points{})
		second := w.another()
		defer w.end()
		w.create("vol", own("db"))
		id := w.mount("vol")
		const rounds = 8
		for range rounds {
			w.pass(1300 * time.Millisecond) // at another moment between two looks
			_, err := second.driver.HolderBreak(t.Context(), "vol", "node1", true)
			assert.NilError(t, err)
			_, err = second.driver.Mount(t.Context(), "vol", "there", running)
			assert.NilError(t, err)
			w.pass(10 * time.Second)
			problem := says(w, "vol", "problem")
			assert.Assert(t, strings.HasPrefix(problem, "containers of this node use it, but node node2 has it, since 2"), "after ten seconds it says %q", problem)
			w.pass(20 * time.Second)
			assert.NilError(t, second.driver.Unmount(t.Context(), "vol", "there"))
			w.pass(10 * time.Second)
			assert.Equal(t, says(w, "vol", "problem"), "", "the hold is taken again")
		}
		w.unmount("vol", id)
		lines := w.log.lines("a volume in use is not this node's alone any more")
		assert.Equal(t, len(lines), rounds, "%q", lines)
		assert.Assert(t, strings.Contains(lines[0], "level=error"), lines[0])
		assert.Assert(t, strings.Contains(lines[0], "volume=vol"), lines[0])
		assert.Assert(t, strings.Contains(lines[0], "but node node2 has it"), lines[0])
		assert.Equal(t, len(w.log.lines("a hold that was gone was taken again")), rounds)
	})
}

// lines are those that have a text.
func (r *record) lines(text string) []string {
	return slices.DeleteFunc(strings.Split(r.String(), "\n"), func(line string) bool { return !strings.Contains(line, text) })
}
