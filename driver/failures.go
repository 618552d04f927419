package driver

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// failures remembers which volumes could not be mounted last time, and which of them because of their storage: those are tried
// again, and the containers that wanted them are started when it is as it should be (DESIGN D15).
type failures struct {
	mu  sync.Mutex // guards what follows
	all map[string]failure
}

// failure is a volume that could not be mounted.
type failure struct {
	text  string
	waits bool          // for its storage
	next  time.Time     // not to be tried before
	pause time.Duration // the last one between two tries of a storage that refused
}

// A storage that is there and refused a volume is tried again after a minute, two, four ... fifteen: the share, the directory or the
// password may be put right meanwhile, and a NAS that starts has its SMB service up before its disks. A password that stays wrong is
// not to lock the user out.
const (
	refusedPause = time.Minute
	longestPause = 15 * time.Minute
	// refusedRebind is the pause of a volume whose containers run and have their own mount: only the driver's is missing.
	refusedRebind = 5 * time.Minute
)

// stagingError is a Mount's failure at the proof of its storage.
type stagingError struct{ err error }

func (e *stagingError) Error() string { return e.err.Error() }

func (e *stagingError) Unwrap() error { return e.err }

// change changes what is known of a volume.
func (f *failures) change(volume string, how func(*failure)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = map[string]failure{}
	}
	one := f.all[volume]
	how(&one)
	f.all[volume] = one
}

// note is told how a Mount ended. Once a volume waits, it does so until it was mounted: its container may be started late and find that
// another node has the volume meanwhile.
func (f *failures) note(volume string, err error) {
	if err == nil {
		f.healed(volume)
		return
	}
	_, refused := errors.AsType[*stagingError](err)
	away := errors.Is(err, backend.ErrUnavailable)
	f.change(volume, func(one *failure) {
		one.text, one.waits = err.Error(), one.waits || away || refused
		one.pause, one.next = 0, time.Time{}
		if one.waits && !away {
			one.pause, one.next = refusedPause, time.Now().Add(refusedPause)
		}
	})
}

// refused has a volume wait longer, whose storage refused it once more.
func (f *failures) refused(volume string) {
	f.change(volume, func(one *failure) {
		one.pause = min(max(2*one.pause, refusedPause), longestPause)
		one.next = time.Now().Add(one.pause)
	})
}

// spare leaves a volume alone for a while that waits for nothing.
func (f *failures) spare(volume string, pause time.Duration) {
	f.change(volume, func(one *failure) { one.next = time.Now().Add(pause) })
}

// recall has a volume wait whose Mount failed before this process began, unless it has failed since.
func (f *failures) recall(volume string) {
	f.change(volume, func(one *failure) { one.waits = one.waits || one.text == "" })
}

// healed forgets a volume.
func (f *failures) healed(volume string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.all, volume)
}

func (f *failures) of(volume string) (text string, failed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	text = f.all[volume].text
	return text, text != ""
}

// pausing says that a volume is not to be tried now.
func (f *failures) pausing(volume string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Now().Before(f.all[volume].next)
}

// waiting lists the volumes that wait for their storage, sorted.
func (f *failures) waiting() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []string
	for name, one := range f.all {
		if one.waits {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// due lists those of them that may be tried now.
func (f *failures) due() []string {
	return slices.DeleteFunc(f.waiting(), f.pausing)
}
