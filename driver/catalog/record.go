package catalog

import (
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// Version is the version of the records, tombstones and catalog.json that this package writes.
const Version = 1

// State is where a volume is in its life.
type State string

// States of a volume.
const (
	Creating State = "creating" // the intent to make it is recorded; its directory may or may not be there
	Ready    State = "ready"
	Removing State = "removing" // its data may or may not be in the trash already
)

// Record is one volume. Its Options map is shared with the catalog: make a copy before a change.
type Record struct {
	Version  int              `json:"version"`
	ID       string           `json:"id"` // 32 hexadecimal digits, see NewID
	Name     string           `json:"name"`
	State    State            `json:"state"`
	Class    string           `json:"class"`
	Location backend.Location `json:"location"`
	// Options are the driver options as the user gave them, without secrets.
	Options map[string]string `json:"options,omitempty"`
	Access  string            `json:"access,omitempty"`
	SQLite  bool              `json:"sqlite,omitempty"`
	Guard   string            `json:"guard,omitempty"`
	// Warnings are sentences about the options that were not worth a refusal; inspect shows them.
	Warnings []string `json:"warnings,omitempty"`
	// CreatedAt is in UTC; the engine wants RFC 3339 (FACTS 1).
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"` // the node's name
	// Generation is the catalog's generation that wrote this text of the record. Put sets it, and compares it: a record
	// that somebody else changed since is refused with ErrChanged.
	Generation uint64 `json:"generation"`
}

// Names are those of records, in their order.
func Names(records []Record) []string {
	names := make([]string, len(records))
	for at, record := range records {
		names[at] = record.Name
	}
	return names
}
