package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// What is in the shared folder; see the package's text.
const (
	headerFile    = "catalog.json"
	lockFile      = "lock"
	volumesDir    = "volumes"
	tombstonesDir = "tombstones"
	damagedDir    = "damaged"
	suffix        = ".json"
)

func recordFile(name string) string  { return volumesDir + "/" + name + suffix }
func tombstoneFile(id string) string { return tombstonesDir + "/" + id + suffix }

// session is one operation on the shared folder, in a thread that may be abandoned: it reads the catalog's memory through
// found and known only, and leaves what it learned in its outcome.
type session struct {
	outcome
	catalog *Catalog
	dir     *durable.Dir
	where   string
	head    header
	// known and count are what this node knew when the operation began.
	known identity
	count int
	// read are the records and tombstones that this session took over, by ID; a nil record is a removed one.
	read map[string]*Record
}

func (c *Catalog) open(shared string, options []durable.Option) (*session, error) {
	dir, err := durable.Open(shared, options...)
	if err != nil {
		return nil, fmt.Errorf("the volume catalog cannot be opened: %w; is the pool mounted?", err)
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return &session{
		outcome: outcome{problems: map[string]Problem{}, suspects: map[string]struct{}{}},
		catalog: c, dir: dir, where: shared,
		known: c.known.identity, count: len(c.known.records), read: map[string]*Record{},
	}, nil
}

func (s *session) close() { _ = s.dir.Close() } // nothing is written through it any more

// locked runs work under the cluster-wide lock. Whoever waited so long that its caller has given up changes nothing.
func (s *session) locked(ctx context.Context, work func() error) error {
	lock, err := s.dir.Lock(ctx, lockFile)
	if err != nil {
		return fmt.Errorf("another node or plugin works on the volume catalog: %w", err)
	}
	if err = ctx.Err(); err == nil {
		err = work()
	}
	return errors.Join(err, lock.Unlock())
}

// current reads the header and catches up with it; under the lock it also marks an announced change that never came.
func (s *session) current() error {
	data, err := s.dir.Read(headerFile, MaxRecord)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return s.freeze("catalog.json is missing: the pool was formatted anew, is another one, or the file was deleted")
		}
		return s.headerError(err)
	}
	if s.head, err = parseHeader(data); err != nil {
		return s.headerError(err)
	}
	return s.catchUp()
}

// headerError tells damage, which freezes, from a disk that does not answer, which says nothing of the catalog.
func (s *session) headerError(err error) error {
	if damage(err) {
		return s.freeze(fmt.Sprintf("catalog.json is damaged (%v)", err))
	}
	return fmt.Errorf("the volume catalog cannot be read: %w", err)
}

// damage says that a file was read and is not what it must be.
func damage(err error) bool {
	return errors.Is(err, ErrInvalid) || errors.Is(err, errNewer) ||
		errors.Is(err, durable.ErrTooLarge) || errors.Is(err, durable.ErrNotRegular)
}

func (s *session) freeze(reason string) error {
	s.compared, s.frozen = true, frozenText(s.where, reason)
	return s.frozenError()
}

func (s *session) frozenError() error { return fmt.Errorf("%w: %s", ErrFrozen, s.frozen) }

// writable refuses a catalog of a newer version, which this one can read and must not rewrite.
func (s *session) writable() error {
	if s.head.Version > Version {
		return fmt.Errorf("the volume catalog at %s has version %d, this plugin writes version %d: %w", s.where, s.head.Version, Version, errNewer)
	}
	return nil
}

// advance announces a change durably: the first two of its four fsyncs.
func (s *session) advance(next change) error {
	if err := s.writable(); err != nil {
		return err
	}
	next.Token = s.catalog.options.Token()
	if err := s.void(); err != nil {
		return err
	}
	head := s.head.with(next)
	return s.writeHeader(head)
}

// writeHeader writes catalog.json without indentation: every node reads it every second.
func (s *session) writeHeader(head header) error {
	text, err := json.Marshal(head)
	if err != nil {
		return fmt.Errorf("encode catalog.json: %w", err)
	}
	if err := s.dir.Write(headerFile, append(text, '\n')); err != nil {
		return err
	}
	s.head = head
	return nil
}

// void marks the last change when its writer died before it: under the lock nobody else can still be at it.
func (s *session) void() error {
	if settled, err := s.settled(s.head.last()); settled || err != nil {
		return err
	}
	changes := append([]change(nil), s.head.Changes...)
	changes[len(changes)-1].Void = true
	s.head.Changes = changes
	return nil
}

// settled says whether the file that a change announced is there.
func (s *session) settled(last *change) (bool, error) {
	switch last.Kind {
	case put:
		record, err := s.record(last.Name)
		switch {
		case err == nil:
			return record.Generation >= last.Generation, nil
		case errors.Is(err, fs.ErrNotExist):
			return false, nil
		case damage(err):
			return true, nil
		}
		return false, err
	case removed:
		return s.buried(last.ID)
	case began, rewritten:
	}
	return true, nil
}

// record reads and checks a record file.
func (s *session) record(name string) (Record, error) {
	data, err := s.dir.Read(recordFile(name), MaxRecord)
	if err != nil {
		return Record{}, err
	}
	return ParseRecord(name, data)
}

// tombstone reads the tombstone of an ID, if this catalog has one. One that cannot be read is not one that is missing.
func (s *session) tombstone(id string) (stone tombstone, has bool, err error) {
	data, err := s.dir.Read(tombstoneFile(id), MaxRecord)
	switch {
	case err == nil:
		stone, err = parseTombstone(id, data)
		return stone, err == nil && stone.Catalog == s.head.UUID, nil
	case errors.Is(err, fs.ErrNotExist), damage(err):
		return tombstone{}, false, nil
	}
	return tombstone{}, false, err
}

func (s *session) buried(id string) (bool, error) {
	_, has, err := s.tombstone(id)
	return has, err
}

func (s *session) writeJSON(name string, value any) error {
	text, err := encode(value)
	if err != nil {
		return err
	}
	return s.dir.Write(name, text)
}

// encode writes the text of a file, with a line of its own for each field: people read these.
func encode(value any) ([]byte, error) {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode a file of the volume catalog: %w", err)
	}
	text = append(text, '\n')
	if len(text) > MaxRecord {
		return nil, fmt.Errorf("%w: it has %d bytes, at most %d are kept", ErrInvalid, len(text), MaxRecord)
	}
	return text, nil
}

// learn notes an event for the node's copy.
func (s *session) learn(change event) {
	s.events = append(s.events, change)
	switch {
	case change.Put != nil:
		s.read[change.Put.ID] = change.Put
		s.cleared = append(s.cleared, change.Put.Name+suffix)
	case change.Bury != nil:
		s.read[change.Bury.ID] = nil
		s.cleared = append(s.cleared, change.Bury.Name+suffix)
	}
}

// find is the record with an ID as this session knows it.
func (s *session) find(id string) (Record, bool) {
	if record, has := s.read[id]; has {
		if record == nil {
			return Record{}, false
		}
		return *record, true
	}
	return s.catalog.found(id)
}

// identify notes how far this node has followed, if that changed.
func (s *session) identify(now identity) {
	if now != s.known {
		s.known = now
		s.events = append(s.events, event{Identity: &now})
	}
}
