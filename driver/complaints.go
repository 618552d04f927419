package driver

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// complaints are sentences about volumes in use, or about pools.
type complaints struct {
	mu    sync.Mutex        // guards texts; held for map operations only
	texts map[string]string // by name
}

// set changes a sentence, "" when there is nothing to say, and tells whether it is another one.
func (c *complaints) set(name, text string) (changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.texts[name] == text {
		return false
	}
	if c.texts == nil {
		c.texts = map[string]string{}
	}
	c.texts[name] = text
	return true
}

// only forgets all volumes but some.
func (c *complaints) only(volumes []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.texts, func(volume, _ string) bool { return !slices.Contains(volumes, volume) })
}

func (c *complaints) of(volume string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.texts[volume]
}

// all lists the sentences by name, with what is named.
func (c *complaints) all(what string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(c.texts)) {
		if text := c.texts[name]; text != "" {
			texts = append(texts, fmt.Sprintf("%s %q: %s", what, name, text))
		}
	}
	return texts
}
