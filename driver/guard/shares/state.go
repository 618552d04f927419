package shares

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/guard"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// openEvery is how often the first bytes of what is open are read.
const openEvery = 20 * time.Second

// state is what is known of a volume in use.
type state struct {
	next    time.Time // when it is looked through again
	looks   int
	writes  []mounter.OpenFile // what containers have open for writing
	checked time.Time          // when writes was last looked into
	found   guard.Finding      // a database that lies in it
	open    guard.Finding      // a database that is open through it
	by      mounter.OpenFile   // who has it open
}

// states are those of all volumes in use.
type states struct {
	mu      sync.Mutex // guards volumes; held for map operations only
	volumes map[string]state
}

// pause is that between the looks through a volume: what an application creates at its first start is there when the second one comes.
func pause(looks int) time.Duration {
	pauses := []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute, time.Hour}
	return pauses[min(looks, len(pauses)-1)]
}

// begin has a volume looked through soon, since it was mounted. A container that fails and is started again every few seconds does not put
// that off.
func (s *states) begin(volume string, now time.Time) {
	s.change(volume, func(one *state) {
		one.looks = 0
		if soon := now.Add(pause(0)); one.next.IsZero() || soon.Before(one.next) {
			one.next = soon
		}
	})
}

// only forgets all volumes but some.
func (s *states) only(volumes []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.volumes, func(volume string, _ state) bool { return !slices.Contains(volumes, volume) })
}

func (s *states) of(volume string) state {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.volumes[volume]
}

func (s *states) change(volume string, how func(*state)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.volumes == nil {
		s.volumes = map[string]state{}
	}
	one := s.volumes[volume]
	how(&one)
	s.volumes[volume] = one
}

// due are the volumes to look into now: through all of it, or at what is open.
func (s *states) due(volumes []string, now time.Time) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, volume := range volumes {
		if one := s.volumes[volume]; one.through(now) || one.into(now) {
			names = append(names, volume)
		}
	}
	return names
}

// through says whether all of a volume is to be looked through.
func (s state) through(now time.Time) bool { return !now.Before(s.next) }

// into says whether what is open in a volume is to be looked into.
func (s state) into(now time.Time) bool {
	return len(s.writes) > 0 && now.Sub(s.checked) >= openEvery
}

// writing notes what containers have open for writing. A database that none has open any more is none that is open.
func (s *states) writing(volume string, files []mounter.OpenFile) {
	s.change(volume, func(one *state) {
		one.writes = files
		if !slices.ContainsFunc(files, func(file mounter.OpenFile) bool { return file.Path == one.open.Path }) {
			one.open, one.by = guard.Finding{}, mounter.OpenFile{}
		}
	})
}
