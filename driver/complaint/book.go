package complaint

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// Book has one sentence for each name. The zero Book is empty; its methods may be called at once.
type Book struct {
	mu    sync.Mutex        // guards texts; held for map operations only
	texts map[string]string // by name
}

// Set changes a sentence, "" when there is nothing to say, and tells whether it is another one.
func (b *Book) Set(name, text string) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.texts[name] == text {
		return false
	}
	if b.texts == nil {
		b.texts = map[string]string{}
	}
	b.texts[name] = text
	return true
}

// Only forgets all names but some.
func (b *Book) Only(names []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.texts, func(name, _ string) bool { return !slices.Contains(names, name) })
}

// Of is a name's sentence, or "".
func (b *Book) Of(name string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.texts[name]
}

// All lists the sentences by name, each behind what is named and its name.
func (b *Book) All(what string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(b.texts)) {
		if text := b.texts[name]; text != "" {
			texts = append(texts, fmt.Sprintf("%s %q: %s", what, name, text))
		}
	}
	return texts
}
