package smb_test

import (
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// shareOf is a share of a server; each number is a mount of its own.
func (b *bench) shareOf(server string, number uint32) backend.Volume {
	b.kernel.SetAddresses(server, netip.MustParseAddr("192.168.1.100"))
	v := volume("v", "")
	v.Location.Device, v.Location.UID = "//"+server+"/share", number
	return v
}

// taking has the kernel need some time for each mount of a server.
func (b *bench) taking(times map[string]time.Duration) {
	b.kernel.OnCall(func(action mountertest.Action) error {
		if action.Op == mountertest.OpMountShare {
			<-time.After(times[hostOf(action.Source)])
		}
		return nil
	})
}

// comes asks for a share later, and sends how long it took.
func (b *bench) comes(t *testing.T, after time.Duration, v backend.Volume) chan time.Duration {
	t.Helper()
	took := make(chan time.Duration, 1)
	time.AfterFunc(after, func() {
		waited, err := b.stage(t, patient, v)
		if err != nil {
			waited = -1
		}
		took <- waited
	})
	return took
}

// However many shares of a slow server are waiting, a mount of another one waits for one of them.
func TestSlowServerDelaysOthersOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.taking(map[string]time.Duration{"nas": 14 * time.Second, "other": time.Second})
		for number := range uint32(8) {
			b.comes(t, time.Second, b.shareOf("nas", number))
		}
		first, second := b.comes(t, 2*time.Second, b.shareOf("other", 1)), b.comes(t, 3*time.Second, b.shareOf("other", 2))
		assert.Equal(t, <-first, 14*time.Second, "13 s for the mount that was under way")
		assert.Equal(t, <-second, time.Duration(-1), "it is another one's turn")
		<-time.After(10 * time.Minute)
		assert.Equal(t, b.mounts(), 10)
	})
}

// Who waits for a turn keeps his place while others come and go.
func TestPlaceInTheQueueIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.taking(map[string]time.Duration{"a": 14 * time.Second, "b": 5 * time.Second})
		for at, server := range []string{"a", "b", "c", "d"} {
			b.comes(t, time.Duration(1+4*at)*time.Second, b.shareOf(server, 0))
		}
		<-time.After(time.Minute)
		var order []string
		for _, mount := range b.kernel.Actions(mountertest.OpMountShare) {
			order = append(order, hostOf(mount.Source))
		}
		assert.Equal(t, fmt.Sprint(order), "[a b c d]")
	})
}

// Who waits while his server lets others go first is told so: that server has answered.
func TestStandingBackIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		first := true
		b.kernel.OnCall(func(action mountertest.Action) error {
			if action.Op == mountertest.OpMountShare && first {
				first = false
				<-time.After(time.Minute)
				return syscall.EHOSTDOWN
			}
			return nil
		})
		b.comes(t, time.Second, b.shareOf("hung", 1))
		b.comes(t, 10*time.Second, b.shareOf("other", 1))
		<-time.After(61 * time.Second) // the mount has failed
		_, err := b.stage(t, 5*time.Second, b.shareOf("hung", 2))
		assert.ErrorContains(t, err, "the last mount from the server hung failed after others had waited for it in vain, so that other servers' shares go first until 2000-01-01T00:01:31Z")
		assert.ErrorIs(t, err, backend.ErrUnavailable)
		_, err = b.stage(t, patient, b.shareOf("hung", 2))
		assert.ErrorContains(t, err, "go first until 2000-01-01T00:01:31Z")
		<-time.After(10 * time.Second)
		_, err = b.stage(t, patient, b.shareOf("hung", 2))
		assert.NilError(t, err)
	})
}

// A server whose mount failed lets those go first that it was in the way of; else it could get every turn, and they none. It does not wait
// for those who do not come again.
func TestServerThatHungStandsBack(t *testing.T) {
	for _, test := range []struct {
		name    string
		failure error
		again   time.Duration // when the other server's share is asked for again
		want    string
		hung    time.Duration // how long the next share of the server that hung took
	}{
		{"the other one comes again", syscall.EHOSTDOWN, 70 * time.Second, "[hung other hung]", 7 * time.Second},
		{"nobody comes again", syscall.EHOSTDOWN, time.Hour, "[hung hung other]", -1},
		{"it works after all", nil, 70 * time.Second, "[hung hung other]", time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			first := true
			b.kernel.OnCall(func(action mountertest.Action) error {
				if action.Op != mountertest.OpMountShare {
					return nil
				}
				if first {
					first = false
					<-time.After(time.Minute)
					return test.failure
				}
				<-time.After(time.Second)
				return nil
			})
			b.comes(t, time.Second, b.shareOf("hung", 1))
			refused := b.comes(t, 10*time.Second, b.shareOf("other", 1))
			assert.Equal(t, <-refused, time.Duration(-1))
			next := b.comes(t, 65*time.Second-16*time.Second, b.shareOf("hung", 2))
			other := b.comes(t, test.again-16*time.Second, b.shareOf("other", 1))
			assert.Equal(t, <-next, test.hung, test.name)
			assert.Assert(t, <-other > 0, test.name)
			var order []string
			for _, mount := range b.kernel.Actions(mountertest.OpMountShare) {
				order = append(order, hostOf(mount.Source))
			}
			assert.Equal(t, fmt.Sprint(order), test.want, test.name)
		})
	}
}
