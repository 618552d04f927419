package driver_test

import (
	"errors"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// A mount that the engine does not see is a folder of the root disk for the container: nothing is mounted, no use is counted, the hold is
// given back, and the process asks to be started again.
func TestMountThatTheEngineDoesNotSee(t *testing.T) {
	for name, options := range map[string]map[string]string{
		"vol": {"class": "db"}, "scratch": {"class": "temp"},
	} {
		b := newBench(t)
		asked := 0
		b.options.Unseen = func() error {
			if asked++; asked > 1 {
				return errors.New("restart Docker")
			}
			return nil
		}
		b.start(t)
		b.create(t, name, options)
		op := map[string]mountertest.Op{"vol": mountertest.OpBind, "scratch": mountertest.OpMountTmpfs}[name]
		b.kernel.Fail(op, 1, mounter.ErrUnseen)
		_, err := b.driver.Mount(t.Context(), name, "a", engine())
		assert.ErrorContains(t, err, "the Docker engine does not see what the plugin mounts")
		assert.ErrorContains(t, err, "The plugin starts anew by itself now")
		assert.ErrorIs(t, err, backend.ErrUnavailable)
		assert.Equal(t, asked, 1)
		assert.Equal(t, len(b.mounted(t)), 0)
		b.kernel.Fail(op, 1, mounter.ErrUnseen)
		_, err = b.driver.Mount(t.Context(), name, "a", engine())
		assert.ErrorContains(t, err, "restart Docker")
		assert.Assert(t, !errors.Is(err, backend.ErrUnavailable), "no container is started again and again for it")
		b.mount(t, name, "b")
		assert.NilError(t, b.driver.Unmount(t.Context(), name, "b"))
		assert.Equal(t, len(b.mounted(t)), 0)
		b.mount(t, name, "c")
		b.kernel.Fail(op, 1, mounter.ErrUnseen)
		_, err = b.driver.Mount(t.Context(), name, "d", engine())
		assert.ErrorIs(t, err, mounter.ErrUnseen, "what is mounted already is looked at too")
	}
}
