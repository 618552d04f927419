package catalog

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	crand "crypto/rand"
)

// Catalog is one catalog of volume records. Its methods may be called at once from several goroutines.
//
// Two tiers of locks: whoever has the turn may take mu, never the other way round.
type Catalog struct {
	options Options
	// turn is the first tier: one operation on the shared folder and the mirror at a time. It is waited for under the
	// caller's context, held across disk work, and taken by no method that answers from memory.
	turn chan struct{}
	// mirror belongs to whoever has the turn; nil without one.
	mirror *mirror
	// same belongs to whoever has the turn.
	same texts
	// loaded is closed when the mirror has been read.
	loaded chan struct{}

	// mu is the second tier: it guards the fields below, for memory work only.
	mu       sync.RWMutex
	known    *knowledge
	sorted   []string // the names in order; nil when it must be made again
	shared   string   // the attached folder; empty when detached
	frozen   string
	problems map[string]Problem  // by file
	suspects map[string]struct{} // names of record files that wait to be set aside
}

// NewID makes an identifier: 128 random bits as 32 hexadecimal digits.
func NewID() string {
	var id [16]byte
	_, _ = crand.Read(id[:]) // never fails, crypto/rand
	return hex.EncodeToString(id[:])
}

// Open starts a catalog from its mirror. It returns before the mirror is read, so that it delays nobody's start; the first
// reads wait for it.
func Open(ctx context.Context, options Options) (*Catalog, error) {
	if options.Doer == nil || options.Log == nil {
		return nil, errors.New("a catalog needs a Doer and a Log")
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Token == nil {
		options.Token = NewID
	}
	opened := &Catalog{
		options: options, turn: make(chan struct{}, 1), loaded: make(chan struct{}),
		same: texts{}, known: newKnowledge(), problems: map[string]Problem{}, suspects: map[string]struct{}{},
	}
	if options.Mirror == "" {
		close(opened.loaded)
		return opened, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	kept, err := openMirror(options.Mirror, options.Now, options.Node)
	if err != nil {
		return nil, err
	}
	opened.mirror = kept
	go opened.load()
	return opened, nil
}

// load reads the mirror. What is damaged in it is reported; the shared folder has it, and the next attach reads all.
func (c *Catalog) load() {
	defer close(c.loaded)
	known := newKnowledge()
	damaged, err := c.mirror.load(known)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = known
	if damaged == 0 && err == nil {
		return
	}
	known.identity.Settled = 0
	text := fmt.Sprintf("%d lines of this node's copy of the catalog are damaged; what they said is read again from the pool", damaged)
	if err != nil {
		text = fmt.Sprintf("this node's copy of the catalog cannot be read whole (%v); the rest is read again from the pool", err)
	}
	file := c.options.Mirror + "/" + journalFile
	c.problems[file] = Problem{File: file, Text: text}
	c.options.Log.WithField("file", file).WithField("damaged_lines", damaged).Warn("the catalog's mirror is damaged")
}

// Close gives the mirror back. Nothing is lost without it.
func (c *Catalog) Close() error {
	<-c.loaded
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	if c.mirror == nil {
		return nil
	}
	kept := c.mirror
	c.mirror = nil
	return kept.close()
}

// Get returns the record of a name, from memory.
func (c *Catalog) Get(name string) (Record, bool) {
	<-c.loaded
	c.mu.RLock()
	defer c.mu.RUnlock()
	record, has := c.known.records[name]
	return record, has
}

// ByID returns the record with an ID, from memory.
func (c *Catalog) ByID(id string) (Record, bool) {
	<-c.loaded
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.known.byID(id)
}

// Removed says whether a volume with an ID was removed, and what its name was, from memory. It forgets those
// that were removed long ago (see keepTombstones).
func (c *Catalog) Removed(id string) (name string, removed bool) {
	<-c.loaded
	c.mu.RLock()
	defer c.mu.RUnlock()
	stone, removed := c.known.tombstones[id]
	return stone.Name, removed
}

// List returns all records, sorted by name, from memory.
func (c *Catalog) List() []Record {
	<-c.loaded
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sorted == nil {
		c.sorted = slices.Sorted(maps.Keys(c.known.records))
	}
	records := make([]Record, len(c.sorted))
	for at, name := range c.sorted {
		records[at] = c.known.records[name]
	}
	return records
}

// Lost lists, sorted by name, the records that this node knew and that the catalog it adopted does not have.
// [Catalog.Restore] writes back those whose names are free.
func (c *Catalog) Lost() []Record {
	<-c.loaded
	c.mu.RLock()
	defer c.mu.RUnlock()
	return sortRecords(slices.Collect(maps.Values(c.known.lost)))
}

func sortRecords(records []Record) []Record {
	slices.SortFunc(records, func(a, b Record) int {
		return strings.Compare(a.Name+"\x00"+a.ID, b.Name+"\x00"+b.ID)
	})
	return records
}

// State says how the catalog is, from memory.
func (c *Catalog) State() Status {
	<-c.loaded
	c.mu.RLock()
	defer c.mu.RUnlock()
	return Status{
		UUID: c.known.identity.UUID, Generation: c.known.identity.Generation,
		Attached: c.shared != "", Frozen: c.frozen,
		Records: len(c.known.records), Problems: len(c.problems),
	}
}

// Trouble lists the files that are not used, sorted by file.
func (c *Catalog) Trouble() []Problem {
	<-c.loaded
	c.mu.RLock()
	defer c.mu.RUnlock()
	problems := slices.Collect(maps.Values(c.problems))
	slices.SortFunc(problems, func(a, b Problem) int { return strings.Compare(a.File, b.File) })
	return problems
}
