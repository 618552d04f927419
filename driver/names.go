package driver

import (
	"maps"
	"slices"
	"sync"
)

// names is a set of names of volumes, or of UUIDs of pools.
type names struct {
	mu  sync.Mutex // guards set; held for map operations only
	set map[string]bool
}

func (n *names) add(volumes ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.set == nil {
		n.set = map[string]bool{}
	}
	for _, volume := range volumes {
		n.set[volume] = true
	}
}

func (n *names) remove(volume string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.set, volume)
}

func (n *names) has(volume string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.set[volume]
}

// all lists the set, sorted.
func (n *names) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(maps.Keys(n.set))
}
