package reference_test

import (
	"testing"

	"github.com/sirupsen/logrus"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/reference"
)

// docker cp on a running container mounts and unmounts with the container's own ID.
func TestTheSameIDTwiceIsTwoUsesAndTheNewestGoesFirst(t *testing.T) {
	dir := t.TempDir()
	options := reference.Options{Log: logrus.NewEntry(logrus.New())}
	counter, err := reference.Open(dir, options)
	assert.NilError(t, err)
	old, now := reference.Engine{PID: 1, Started: 1}, reference.Engine{PID: 2, Started: 2}
	for _, engine := range []reference.Engine{old, now} {
		_, err := counter.Add("vol", "id", "container", engine)
		assert.NilError(t, err)
	}
	counter, err = reference.Open(dir, options) // as after a restart of the plugin
	assert.NilError(t, err)
	left, err := counter.Drop("vol", "container")
	assert.NilError(t, err)
	assert.Equal(t, left, 1)
	volume, _ := counter.Of("vol")
	assert.Equal(t, volume.Uses[0].Engine, old, "the ended engine's use waits for Reap")
	left, err = counter.Drop("vol", "container")
	assert.NilError(t, err)
	assert.Equal(t, left, 0)
}
