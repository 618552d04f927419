package driver

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// failures remembers which volumes could not be mounted last time, and which of them because their storage was away: those
// are tried again, and the containers that wanted them are started when it is back (DESIGN D15).
type failures struct {
	mu    sync.Mutex // guards what follows
	texts map[string]string
	away  map[string]bool
	later map[string]time.Time // when a volume is tried again whose storage is there and refused it
}

// refusedPause is how long such a volume waits: servers lock accounts and addresses out that log in wrongly again and again.
const refusedPause = 5 * time.Minute

// refused has a volume wait longer.
func (f *failures) refused(volume string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.later == nil {
		f.later = map[string]time.Time{}
	}
	f.later[volume] = time.Now().Add(refusedPause)
}

// pausing says that a volume is not to be tried now.
func (f *failures) pausing(volume string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Now().Before(f.later[volume])
}

func (f *failures) note(volume string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.later, volume)
	if err == nil {
		delete(f.texts, volume)
		delete(f.away, volume)
		return
	}
	if f.texts == nil {
		f.texts, f.away = map[string]string{}, map[string]bool{}
	}
	f.texts[volume] = err.Error()
	if errors.Is(err, backend.ErrUnavailable) {
		f.away[volume] = true
	}
}

// recall has a volume wait whose Mount failed before this process began, unless it has failed since.
func (f *failures) recall(volume string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.texts == nil {
		f.texts, f.away = map[string]string{}, map[string]bool{}
	}
	if _, known := f.texts[volume]; !known {
		f.away[volume] = true
	}
}

func (f *failures) of(volume string) (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	text, ok := f.texts[volume]
	return text, ok
}

// waiting lists the volumes whose storage was away, sorted.
func (f *failures) waiting() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.away))
}

// due lists those of them that may be tried now.
func (f *failures) due() []string {
	waiting := f.waiting()
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(waiting, func(volume string) bool { return time.Now().Before(f.later[volume]) })
}

// healed takes a volume off the list of waiting ones.
func (f *failures) healed(volume string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.away, volume)
	delete(f.texts, volume)
	delete(f.later, volume)
}
