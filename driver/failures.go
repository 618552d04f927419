package driver

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// failures remembers which volumes could not be mounted last time, and which of them because of their storage: those are tried
// again, and the containers that wanted them are started when it is as it should be (DESIGN D15).
type failures struct {
	mu    sync.Mutex // guards what follows
	texts map[string]string
	waits map[string]bool
	later map[string]time.Time // when a volume is tried again whose storage is there and refused it
}

// refusedPause is how long such a volume waits: the share, the directory or the password may be put right meanwhile. A NAS that starts
// has its SMB service up before its disks. How often a server is asked with one password is the backend's own matter.
const refusedPause = time.Minute

// refusedRebind is that of a volume whose containers run and have their own mount: only the driver's is missing.
const refusedRebind = 5 * time.Minute

// stagingError is a Mount's failure at the proof of its storage.
type stagingError struct{ err error }

func (e *stagingError) Error() string { return e.err.Error() }

func (e *stagingError) Unwrap() error { return e.err }

// refused has a volume wait before it is tried again.
func (f *failures) refused(volume string, pause time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pause(volume, pause)
}

// pause is called with the lock held.
func (f *failures) pause(volume string, pause time.Duration) {
	if f.later == nil {
		f.later = map[string]time.Time{}
	}
	f.later[volume] = time.Now().Add(pause)
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
		delete(f.waits, volume)
		return
	}
	if f.texts == nil {
		f.texts, f.waits = map[string]string{}, map[string]bool{}
	}
	f.texts[volume] = err.Error()
	_, refused := errors.AsType[*stagingError](err)
	away := errors.Is(err, backend.ErrUnavailable)
	if away || refused {
		f.waits[volume] = true
	}
	if refused && !away {
		f.pause(volume, refusedPause)
	}
}

// recall has a volume wait whose Mount failed before this process began, unless it has failed since.
func (f *failures) recall(volume string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.texts == nil {
		f.texts, f.waits = map[string]string{}, map[string]bool{}
	}
	if _, known := f.texts[volume]; !known {
		f.waits[volume] = true
	}
}

func (f *failures) of(volume string) (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	text, ok := f.texts[volume]
	return text, ok
}

// waiting lists the volumes that wait for their storage, sorted.
func (f *failures) waiting() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.waits))
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
	delete(f.waits, volume)
	delete(f.texts, volume)
	delete(f.later, volume)
}
