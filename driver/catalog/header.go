package catalog

import (
	"errors"
	"fmt"
	"time"
)

// maxChanges is how many of the last changes catalog.json names. A node that is further behind reads every record.
const maxChanges = 64

// maxGeneration is far from where the next generation would be 0 again, and from where any catalog gets to.
const maxGeneration = 1 << 62

// kind is what a change does.
type kind string

const (
	began     kind = "begin"   // the catalog was made
	put       kind = "put"     // a record was written
	removed   kind = "remove"  // a tombstone was written
	rewritten kind = "rewrite" // everything may be different: adopted or restored
)

// header is catalog.json.
type header struct {
	Version    int      `json:"version"`
	UUID       string   `json:"uuid"`
	Generation uint64   `json:"generation"`
	Changes    []change `json:"changes"` // the last ones, one for each generation, oldest first
}

// change announces what one generation changes. Only the last one can be unfinished.
type change struct {
	Generation uint64 `json:"generation"`
	Token      string `json:"token"` // random: two histories with one generation have different tokens
	Kind       kind   `json:"kind"`
	Name       string `json:"name,omitempty"`
	ID         string `json:"id,omitempty"`
	// Void says that the writer died between the announcement and the change.
	Void bool `json:"void,omitempty"`
}

// tombstone is what is left of a removed volume.
type tombstone struct {
	Version    int       `json:"version"`
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	Catalog    string    `json:"catalog"` // the UUID of the catalog that removed it
	Generation uint64    `json:"generation"`
	RemovedAt  time.Time `json:"removed_at"`
}

// identity is how far a node has followed a catalog.
type identity struct {
	UUID       string `json:"uuid"`
	Generation uint64 `json:"generation"`
	Token      string `json:"token"`
	// Settled is Generation, or one less while the last change is announced and not done.
	Settled uint64 `json:"settled"`
}

// parseHeader reads catalog.json.
func parseHeader(data []byte) (header, error) {
	var head header
	newer, err := decode(data, &head, &head.Version)
	if err == nil {
		err = head.validate()
	}
	if err != nil && newer && !errors.Is(err, errNewer) {
		err = fmt.Errorf("%w: %w", errNewer, err)
	}
	return head, err
}

// validate checks the UUID and that the changes are the last generations without a gap.
func (h *header) validate() error {
	if !validID(h.UUID) {
		return fmt.Errorf("%w: the catalog's UUID is %q", ErrInvalid, h.UUID)
	}
	if len(h.Changes) == 0 || h.last().Generation != h.Generation {
		return fmt.Errorf("%w: the last change is not that of generation %d", ErrInvalid, h.Generation)
	}
	if h.Generation > maxGeneration {
		return fmt.Errorf("%w: generation %d is larger than any that was ever written", ErrInvalid, h.Generation)
	}
	for at, change := range h.Changes {
		if change.Generation != h.Changes[0].Generation+uint64(at) {
			return fmt.Errorf("%w: the change of generation %d is missing", ErrInvalid, h.Changes[0].Generation+uint64(at))
		}
		if err := change.validate(); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) validate() error {
	switch c.Kind {
	case began, rewritten:
		return nil
	case put, removed:
		if ValidName(c.Name) && validID(c.ID) {
			return nil
		}
	}
	return fmt.Errorf("%w: the change of generation %d is %q of volume %q (%q)", ErrInvalid, c.Generation, c.Kind, c.Name, c.ID)
}

// parseTombstone reads a tombstone and checks that it is of the ID in its file's name.
func parseTombstone(id string, data []byte) (tombstone, error) {
	var stone tombstone
	if _, err := decode(data, &stone, &stone.Version); err != nil {
		return tombstone{}, err
	}
	if stone.ID != id || !validID(id) {
		return tombstone{}, fmt.Errorf("%w: the tombstone is of %q, but the file is that of %q", ErrInvalid, stone.ID, id)
	}
	return stone, nil
}

func (h *header) last() *change { return &h.Changes[len(h.Changes)-1] }

// oldest is the first generation that the changes tell of.
func (h *header) oldest() uint64 { return h.Changes[0].Generation }

// with returns the header of the next generation. The changes are copied: the old header may still be in use.
func (h *header) with(next change) header {
	next.Generation = h.Generation + 1
	keep := h.Changes
	if len(keep) >= maxChanges {
		keep = keep[len(keep)-maxChanges+1:]
	}
	changes := append(make([]change, 0, len(keep)+1), keep...)
	return header{Version: Version, UUID: h.UUID, Generation: next.Generation, Changes: append(changes, next)}
}

// identity is that of a node which has followed all changes.
func (h *header) identity() identity {
	return identity{UUID: h.UUID, Generation: h.Generation, Token: h.last().Token, Settled: h.Generation}
}
