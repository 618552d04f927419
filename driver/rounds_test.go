package driver

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// turns is work that a test holds up or lets fail, by name.
type turns struct {
	mu    sync.Mutex
	order []string
	hold  map[string]chan struct{}
	away  map[string]bool
}

func (w *turns) work(_ context.Context, name string) error {
	w.mu.Lock()
	w.order = append(w.order, name)
	hold, away := w.hold[name], w.away[name]
	w.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if away {
		return fmt.Errorf("%s: %w", name, backend.ErrUnavailable)
	}
	return nil
}

func (w *turns) taken() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := strings.Join(w.order, " ")
	w.order = nil
	return taken
}

func TestAStorageThatHangsDelaysNoOther(t *testing.T) {
	hold := make(chan struct{})
	w := &turns{hold: map[string]chan struct{}{"a": hold}}
	var slow, other rounds
	slow.begin(t.Context(), w.work, map[string][]string{"hung": {"a", "b"}})
	for range 2 { // its next round waits for it, and nobody else does
		slow.begin(t.Context(), w.work, map[string][]string{"hung": {"a", "b"}})
		other.begin(t.Context(), w.work, map[string][]string{"well": {"x", "y"}})
		other.group.Wait()
	}
	close(hold)
	slow.group.Wait()
	taken := w.taken()
	assert.Equal(t, strings.Count(taken, "a"), 1, taken)
	assert.Equal(t, strings.Count(strings.Replace(taken, "a ", "", 1), "x y"), 2, taken) // a has its turn at any time
}

// One volume's directory may be what does not answer; the others of its pool have their turn in the next rounds.
func TestAStorageThatIsAwayIsTriedOnceInARound(t *testing.T) {
	w := &turns{away: map[string]bool{"a": true, "c": true}}
	var r rounds
	next := func() string {
		r.begin(t.Context(), w.work, map[string][]string{"pool": {"d", "c", "b", "a"}})
		r.group.Wait()
		return w.taken()
	}
	for _, want := range []string{"a", "b c", "d a", "b c"} {
		assert.Equal(t, next(), want)
	}
	w.away = nil
	assert.Equal(t, next(), "d a b c")
	assert.Equal(t, next(), "a b c d")
}

func TestStorageIsThePoolOrTheServer(t *testing.T) {
	pool := backend.Location{Kind: backend.OCFS2, Pool: "media-apps", Subdir: "radarr"}
	assert.Equal(t, storageOf(pool), storageOf(backend.Location{Kind: backend.OCFS2, Pool: "media-apps", Subdir: "sonarr"}))
	assert.Assert(t, storageOf(pool) != storageOf(backend.Location{Kind: backend.OCFS2, Pool: "app-data", Subdir: "radarr"}))
	share := backend.Location{Kind: backend.CIFS, Device: "//nas/torrents"}
	assert.Equal(t, storageOf(share), storageOf(backend.Location{Kind: backend.CIFS, Device: "//NAS/usenet"}))
	assert.Assert(t, storageOf(share) != storageOf(backend.Location{Kind: backend.CIFS, Device: "//nas2/torrents"}))
}

// A storage that stays away is asked less and less often; one that is back is asked as before.
func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &turns{away: map[string]bool{"a": true}}
		r := rounds{longest: 24 * time.Second}
		asked := func(during time.Duration) int {
			for end := time.Now().Add(during); time.Now().Before(end); <-time.After(time.Second) {
				r.begin(t.Context(), w.work, map[string][]string{"server": {"a"}})
				synctest.Wait()
			}
			return strings.Count(w.taken(), "a")
		}
		assert.Equal(t, asked(46*time.Second), 5, "at 0, 3, 9, 21 and 45 s")
		assert.Equal(t, asked(4*time.Minute), 10)
		w.mu.Lock()
		w.away["a"] = false
		w.mu.Unlock()
		assert.Assert(t, asked(time.Minute) >= 35)
	})
}
