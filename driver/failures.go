package driver

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// failures remembers which volumes could not be mounted last time, and which of them because their storage was away: those
// are tried again, and the containers that wanted them are started when it is back (DESIGN D15).
type failures struct {
	mu    sync.Mutex // guards texts and away
	texts map[string]string
	away  map[string]bool
}

func (f *failures) note(volume string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
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

// healed takes a volume off the list of waiting ones.
func (f *failures) healed(volume string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.away, volume)
	delete(f.texts, volume)
}
