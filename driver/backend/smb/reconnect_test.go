package smb_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// lost has the next looks into a mounted share find the client while it connects again, and counts them.
func (b *bench) lost(looks int, number syscall.Errno) (asked *int) {
	asked = new(int)
	b.kernel.OnCall(func(action mountertest.Action) error {
		if action.Op != mountertest.OpDo || !strings.HasPrefix(action.Target, "share ") {
			return nil
		}
		if *asked++; *asked <= looks {
			return number
		}
		return nil
	})
	return asked
}

// A server has just come back: for a moment the client gives errors for what it sent on the old connection. A Mount then asks again.
func TestMountWhileTheClientConnects(t *testing.T) {
	for _, number := range []syscall.Errno{syscall.EAGAIN, syscall.ECONNABORTED} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			first, err := b.backend.Stage(t.Context(), volume("v", ""))
			assert.NilError(t, err)
			asked := b.lost(3, number)
			began := time.Now()
			second, err := b.backend.Stage(t.Context(), volume("v", ""))
			assert.NilError(t, err)
			assert.Equal(t, second.Base, first.Base)
			assert.Assert(t, *asked > 3 && time.Since(began) < 2*time.Second)
			assert.Equal(t, b.mounts(), 1)
		})
	}
}

// One that does not come back is named as soon as its port says so, and one whose errors go on in time for the caller.
func TestClientThatDoesNotConnect(t *testing.T) {
	for text, dial := range map[string]func(context.Context, string) error{
		"refuses connections to port 445: start its SMB service":                      refusing,
		"was lost while it was being set up: its SMB service has just been restarted": accepting,
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			_, err := b.backend.Stage(t.Context(), volume("v", ""))
			assert.NilError(t, err)
			b.lost(1<<30, syscall.EAGAIN)
			b.dialling(dial)
			began := time.Now()
			_, err = b.backend.Stage(t.Context(), volume("v", ""))
			assert.ErrorContains(t, err, text)
			assert.ErrorIs(t, err, backend.ErrUnavailable)
			assert.Assert(t, time.Since(began) < 6*time.Second, "%s", time.Since(began))
		})
	}
}

// What is done in a share is not done twice: only the share itself is asked again.
func TestWorkIsNotRepeated(t *testing.T) {
	b := newBench(t)
	done := 0
	err := b.backend.Visit(t.Context(), volume("v", "").Location, func(*os.Root) error { done++; return syscall.EAGAIN })
	assert.Assert(t, errors.Is(err, syscall.EAGAIN))
	assert.Equal(t, done, 1)
}
