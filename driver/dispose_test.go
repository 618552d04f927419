package driver_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"
)

// Each node has its own data of a cache volume, and deletes it when any node has removed the volume.
func TestCacheOfAVolumeThatAnotherNodeRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		for _, name := range []string{"cache", "kept"} {
			b.create(t, name, map[string]string{"class": "cache", "uid": fmt.Sprint(os.Getuid()), "gid": fmt.Sprint(os.Getgid())})
		}
		second := b.other(t)
		second.create(t, "attaches", nil)
		for _, name := range []string{"cache", "kept"} {
			target := second.mount(t, name, "a")
			assert.NilError(t, os.WriteFile(filepath.Join(target, "file"), nil, 0o600))
		}
		folders := func() int {
			entries, err := os.ReadDir(b.kernel.HostPath(node2Folder + "/local/volumes"))
			assert.NilError(t, err)
			return len(entries)
		}
		assert.NilError(t, b.driver.Remove(t.Context(), "cache"))
		second.create(t, "reads_the_catalog", nil)
		second.driver.Sweep(t.Context())
		assert.Equal(t, folders(), 2, "a container uses it")

		for _, name := range []string{"cache", "kept"} {
			assert.NilError(t, second.driver.Unmount(t.Context(), name, "a"))
		}
		defer second.run(t)()
		poll.WaitOn(t, func(poll.LogT) poll.Result {
			if folders() == 1 {
				return poll.Success()
			}
			return poll.Continue("%d folders", folders())
		}, poll.WithTimeout(10*time.Second))
		second.mount(t, "kept", "b")
		_, err := os.Stat(filepath.Join(second.options.MountRoot, "kept", "file"))
		assert.NilError(t, err)
	})
}
