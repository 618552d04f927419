package holder

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// Version is the version of the records that this package writes.
const Version = 1

// MaxRecord is the size of the largest file that is read, in bytes: some hundred uses.
const MaxRecord = 64 << 10

// ErrDamaged says that a record cannot be read. The directory is then held by nobody knows whom: nobody gets it.
var ErrDamaged = errors.New("the holder record is damaged")

// Mode says who may have a directory at once.
type Mode string

// Modes of a hold.
const (
	Exclusive Mode = "exclusive" // one node
	Shared    Mode = "shared"    // many nodes
)

// Record says who has one directory of a pool. It is the ownership itself (DESIGN D8).
type Record struct {
	Version int    `json:"version"`
	Subdir  string `json:"subdir"`
	// Mode is the strongest mode of any use: exclusive when one of them is. Empty when nobody has the directory.
	Mode       Mode     `json:"mode"`
	Generation uint64   `json:"generation"` // grows with every change from the first holder to the last
	Holders    []Holder `json:"holders"`
}

// Holder is one plugin's share of a hold. Two of one node are one holder node.
type Holder struct {
	Node     int    `json:"node"`     // the o2cb node number; 0 on a standalone pool
	Name     string `json:"name"`     // the node's name
	Boot     string `json:"boot_id"`  // the kernel's boot id when it joined
	Instance string `json:"instance"` // which plugin of the node
	Uses     []Use  `json:"volumes"`
	// Since is when the first of the uses joined, in UTC.
	Since time.Time `json:"since"`
}

// Use is one volume that a holder has mounted.
type Use struct {
	Volume string `json:"volume"` // the volume's ID
	Mode   Mode   `json:"mode"`
}

// mode is the strongest one of a holder's uses.
func (h *Holder) mode() Mode {
	for _, use := range h.Uses {
		if use.Mode == Exclusive {
			return Exclusive
		}
	}
	return Shared
}

// parseRecord reads the record of a directory. It is hostile input like everything on a pool.
func parseRecord(subdir string, data []byte) (Record, error) {
	var record Record
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&record); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Record{}, fmt.Errorf("%w: more than one JSON value", ErrDamaged)
	}
	if record.Version != Version {
		return Record{}, fmt.Errorf("%w: version %d, this plugin reads version %d; upgrade the plugin on this node if another has a newer one",
			ErrDamaged, record.Version, Version)
	}
	if subdir != "" && record.Subdir != subdir {
		return Record{}, fmt.Errorf("%w: it is of directory %q, not %q", ErrDamaged, record.Subdir, subdir)
	}
	for _, holder := range record.Holders {
		if err := holder.validate(); err != nil {
			return Record{}, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	return record, nil
}

func (h *Holder) validate() error {
	if h.Name == "" || h.Boot == "" || len(h.Uses) == 0 {
		return fmt.Errorf("a holder with name %q, boot id %q and %d volumes", h.Name, h.Boot, len(h.Uses))
	}
	for _, use := range h.Uses {
		if use.Volume == "" || use.Mode != Exclusive && use.Mode != Shared {
			return fmt.Errorf("node %s holds volume %q in mode %q", h.Name, use.Volume, use.Mode)
		}
	}
	return nil
}

// encode writes the text of a record; a change bumps its generation and derives its mode.
func (r *Record) encode() ([]byte, error) {
	r.Version, r.Generation, r.Mode = Version, r.Generation+1, ""
	r.Holders = slices.DeleteFunc(r.Holders, func(holder Holder) bool { return len(holder.Uses) == 0 })
	for at := range r.Holders {
		if r.Mode != Exclusive {
			r.Mode = r.Holders[at].mode()
		}
	}
	return encode(r)
}

func encode(value any) ([]byte, error) {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode a holder record: %w", err)
	}
	if len(text) >= MaxRecord {
		return nil, fmt.Errorf("the holder record would have %d bytes, more than %d: too many volumes of one directory", len(text), MaxRecord)
	}
	return append(text, '\n'), nil
}

// Overlaps refuses a directory that is above or below one of the existing ones, because two holds would then protect one
// file. Equal directories are allowed: they share one hold. All are clean and relative; "" is the pool's root.
func Overlaps(existing []string, subdir string) error {
	for _, other := range existing {
		switch {
		case above(other, subdir):
			return fmt.Errorf("directory %q is inside of %q, which another volume has; choose a directory beside it with subdir=", subdir, other)
		case above(subdir, other):
			return fmt.Errorf("directory %q contains %q, which another volume has; choose a directory beside it with subdir=", subdir, other)
		}
	}
	return nil
}

func above(upper, lower string) bool {
	return upper != lower && (upper == "" || strings.HasPrefix(lower, upper+"/"))
}

// validate refuses what could lead a file name outside of the holders' folder.
func (d *Directory) validate() error {
	if d.Pool.Private == "" || d.Pool.UUID == "" {
		return fmt.Errorf("pool %q has no private folder or no UUID", d.Pool.Name)
	}
	if d.Subdir == "." || d.Subdir != "" && !fs.ValidPath(d.Subdir) {
		return fmt.Errorf("directory %q of pool %s is not a clean relative path", d.Subdir, d.Pool.Name)
	}
	return nil
}
