package driver

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/guard"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// guarded is what is known of a share's volume in use.
type guarded struct {
	next    time.Time // when it is looked through again
	looks   int
	writes  []mounter.OpenFile // what containers have open for writing
	checked time.Time          // when writes was last looked into
	found   guard.Finding      // a database that lies in it
	open    guard.Finding      // a database that is open through it
	by      mounter.OpenFile   // who has it open
}

// guards are the volumes of shares that are in use.
type guards struct {
	mu      sync.Mutex // guards volumes; held for map operations only
	volumes map[string]guarded
}

// pauses are those between the looks through a volume: what an application creates at its first start is there when the second one comes.
func pause(looks int) time.Duration {
	pauses := []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute, time.Hour}
	return pauses[min(looks, len(pauses)-1)]
}

// begin has a volume looked through soon, since it was mounted.
func (g *guards) begin(volume string, now time.Time) {
	g.change(volume, func(one *guarded) { one.looks, one.next = 0, now.Add(pause(0)) })
}

// only forgets all volumes but some.
func (g *guards) only(volumes []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	maps.DeleteFunc(g.volumes, func(volume string, _ guarded) bool { return !slices.Contains(volumes, volume) })
}

func (g *guards) of(volume string) guarded {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.volumes[volume]
}

func (g *guards) change(volume string, how func(*guarded)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.volumes == nil {
		g.volumes = map[string]guarded{}
	}
	one := g.volumes[volume]
	how(&one)
	g.volumes[volume] = one
}

// due are the volumes to look into now: through all of it, or at what is open.
func (g *guards) due(volumes []string, now time.Time) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var names []string
	for _, volume := range volumes {
		if one := g.volumes[volume]; one.through(now) || one.into(now) {
			names = append(names, volume)
		}
	}
	return names
}

// through says whether all of a volume is to be looked through.
func (g guarded) through(now time.Time) bool { return !now.Before(g.next) }

// into says whether what is open in a volume is to be looked into.
func (g guarded) into(now time.Time) bool {
	return len(g.writes) > 0 && now.Sub(g.checked) >= openEvery
}

// writing notes what containers have open for writing. A database that none has open any more is none that is open.
func (g *guards) writing(volume string, files []mounter.OpenFile) {
	g.change(volume, func(one *guarded) {
		one.writes = files
		if !slices.ContainsFunc(files, func(file mounter.OpenFile) bool { return file.Path == one.open.Path }) {
			one.open, one.by = guard.Finding{}, mounter.OpenFile{}
		}
	})
}
