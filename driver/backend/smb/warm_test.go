package smb_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// Every share that a node used last is mounted after a boot, however many there are, and a volume that is asked for meanwhile waits for
// one of them, not for all.
func TestWarmIsEveryShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many, each = 65, 100 * time.Millisecond
		b := newBench(t)
		of := func(uid uint32) backend.Volume { // each a mount of its own
			v := volume("v", "")
			v.Location.UID = uid
			return v
		}
		for uid := range uint32(many) {
			_, err := b.backend.Stage(t.Context(), of(uid))
			assert.NilError(t, err)
		}
		b.kernel.Reboot("another")
		var mounts atomic.Int32
		b.kernel.OnCall(func(action mountertest.Action) error {
			if action.Op == mountertest.OpMountShare {
				<-time.After(each)
				mounts.Add(1)
			}
			return nil
		})
		b.backend = b.restart(b.store)
		defer b.run(t)()
		until(t, func() bool { return mounts.Load() == many/2 })
		for _, asked := range []backend.Volume{b.elsewhere(), of(many)} {
			took, err := b.stage(t, patient, asked)
			assert.NilError(t, err)
			assert.Assert(t, took <= 2*each, "%s of %s", took, asked.Location.Device)
		}
		until(t, func() bool { return mounts.Load() == many+2 })
		synctest.Wait() // the last one is written down
	})
}
