package driver_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/local"
)

// node2Folder is the state folder of the other node.
const node2Folder = "/var/lib/node2"

// other is the driver of another node, on the same pool.
func (b *bench) other(t *testing.T) *bench {
	t.Helper()
	second := *b
	second.driver = nil
	settings := configured()
	settings.Node = "node2"
	second.source = fixed(settings)
	second.options.Settings = second.source
	state := filepath.Join(b.kernel.Temp(), "node2")
	second.options.StateDir, second.options.RunDir = filepath.Join(state, "state"), filepath.Join(state, "run")
	second.options.MountRoot = filepath.Join(state, "volumes")
	second.options.Backends = []backend.Backend{b.pool, b.share, local.New(b.kernel, node2Folder)}
	second.start(t)
	return &second
}

func TestOfTwoCreatesInsideEachOtherOneLoses(t *testing.T) {
	b := newBench(t)
	for i := range 5 {
		above := fmt.Sprintf("media%d", i)
		results := make(chan error, 2)
		for _, subdir := range []string{above, above + "/x"} {
			go func() {
				results <- b.driver.Create(t.Context(), strings.ReplaceAll(subdir, "/", "_"), map[string]string{"class": "db", "subdir": subdir})
			}()
		}
		one, two := <-results, <-results
		assert.Assert(t, (one == nil) != (two == nil), "%v, %v", one, two)
		if one == nil {
			one = two
		}
		assert.ErrorContains(t, one, "which another volume has; choose a directory beside it with subdir=")
	}
	infos, err := b.driver.List(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, len(infos), 5)
}

// The other node's volume is not in this node's mirror yet; writing the own record brings it.
func TestCreateSeesWhatAnotherNodeMadeJustNow(t *testing.T) {
	b := newBench(t)
	b.create(t, "first", nil)
	second := b.other(t)
	second.create(t, "second", nil)
	b.create(t, "media", map[string]string{"class": "db"})
	err := second.driver.Create(t.Context(), "inside", map[string]string{"class": "db", "subdir": "media/x"})
	assert.Error(t, err, `volume "inside": directory "media/x" is inside of "media", which another volume has; choose a directory beside it with subdir=`)
	_, err = os.Stat(filepath.Join(b.kernel.HostPath(poolPath), "media", "x"))
	assert.ErrorIs(t, err, os.ErrNotExist)
	_, err = os.Stat(b.inside())
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// inside is where the record of the volume "inside" is.
func (b *bench) inside() string {
	return filepath.Join(b.pool.proven().Private, backend.CatalogFolder, "volumes", "inside.json")
}

// A pool may get another name in the configuration; its directories stay the same.
func TestOverlapGoesByThePoolsUUID(t *testing.T) {
	b := newBench(t)
	b.create(t, "media", map[string]string{"class": "db"})
	b.pool.name.Store("renamed")
	err := b.driver.Create(t.Context(), "inside", map[string]string{"class": "db", "subdir": "media/x"})
	assert.ErrorContains(t, err, `inside of "media"`)
}

// A plugin that was killed before it saw the other node's volume does not make its own at the next start.
func TestInterruptedCreateGivesWay(t *testing.T) {
	b := newBench(t)
	b.create(t, "media", map[string]string{"class": "db"})
	b.create(t, "inside", map[string]string{"class": "db", "subdir": "elsewhere"})
	content, err := os.ReadFile(b.inside())
	assert.NilError(t, err)
	half := strings.NewReplacer(`"ready"`, `"creating"`, `"elsewhere"`, `"media/x"`).Replace(string(content))
	assert.NilError(t, os.WriteFile(b.inside(), []byte(half), 0o600))
	assert.NilError(t, os.RemoveAll(filepath.Join(b.options.StateDir, "mirror")))
	b.start(t)
	b.create(t, "third", nil) // attaches the catalog
	defer b.run(t)()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		if _, err := os.Stat(b.inside()); err != nil {
			return poll.Success()
		}
		return poll.Continue("its record is still there")
	}, poll.WithTimeout(10*time.Second))
	_, err = b.driver.Get(t.Context(), "inside")
	assert.ErrorIs(t, err, driver.ErrNotFound)
	_, err = b.driver.Get(t.Context(), "media")
	assert.NilError(t, err)
}
