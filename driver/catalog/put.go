package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
)

// Put writes a record and returns it with its new generation: four fsyncs on the shared folder and one on the node.
//
// A record of generation 0 is a new volume, or the repetition of an interrupted Put of the same ID. Any other generation
// must be that of the present record: it was read, changed, and is written back. When another volume has the name
// (ErrExists) or the record was changed meanwhile (ErrChanged), the present record is returned with the error. After any
// other error the record may or may not have been written; the same call again finds out.
func (c *Catalog) Put(ctx context.Context, record Record) (Record, error) {
	if record.Version > Version {
		return Record{}, fmt.Errorf("the record of volume %s was %w", record.Name, errNewer)
	}
	record.Version = Version
	if err := record.validate(); err != nil {
		return Record{}, fmt.Errorf("volume %s cannot be recorded: %w", record.Name, err)
	}
	record.Options = maps.Clone(record.Options) // the work may outlive the call
	record.Warnings = slices.Clone(record.Warnings)
	record.Location.MountOptions = slices.Clone(record.Location.MountOptions)
	done, err := c.perform(ctx, "", func(ctx context.Context, s *session) error {
		return s.locked(ctx, func() error { return s.put(record) })
	})
	return done.answer, err
}

// put does the work of Put under the lock.
func (s *session) put(record Record) error {
	if err := s.current(); err != nil {
		return err
	}
	if err := s.mayPut(&record); err != nil {
		return err
	}
	record.Generation = s.head.Generation + 1
	text, err := encode(record)
	if err != nil {
		return err
	}
	if err := s.advance(change{Kind: put, Name: record.Name, ID: record.ID}); err != nil {
		return err
	}
	if err := s.dir.Write(recordFile(record.Name), text); err != nil {
		return err
	}
	s.learn(event{Put: &record})
	s.answer = record
	s.identify(s.head.identity())
	return nil
}

// mayPut holds a record against the present one.
func (s *session) mayPut(record *Record) error {
	if dead, err := s.buried(record.ID); err != nil {
		return err
	} else if dead {
		return fmt.Errorf("%w: volume %s (%s)", ErrGone, record.Name, record.ID)
	}
	if same, has := s.find(record.ID); has && same.Name != record.Name {
		return fmt.Errorf("%w: volume %s cannot become %s", ErrInvalid, same.Name, record.Name)
	}
	present, has, err := s.present(record.Name)
	if err != nil {
		return err
	}
	switch {
	case !has:
		return s.refuseDamaged(record.Name)
	case present.ID != record.ID:
		s.answer = present
		return fmt.Errorf("%w: volume %s was created on %s at %s", ErrExists, present.Name, present.CreatedBy,
			present.CreatedAt.UTC().Format("2006-01-02 15:04:05 UTC"))
	case present.Version > Version:
		return fmt.Errorf("the record of volume %s was %w", present.Name, errNewer)
	case record.Generation != 0 && record.Generation != present.Generation:
		s.answer = present
		return fmt.Errorf("%w: volume %s is at generation %d, not %d", ErrChanged, present.Name, present.Generation, record.Generation)
	}
	return nil
}

// present is the record that has a name: in the folder, or, when its file is gone or damaged, as this node knows it.
func (s *session) present(name string) (Record, bool, error) {
	record, err := s.record(name)
	dead := false
	if err == nil {
		dead, err = s.buried(record.ID)
	}
	switch {
	case err == nil && !dead:
		s.learn(event{Put: &record})
		return record, true, nil
	case errors.Is(err, errNewer):
		return Record{}, false, fmt.Errorf("the record of volume %s was %w", name, err)
	case err != nil && damage(err):
		s.suspect(name+suffix, name, err)
		if err := s.setAside(); err != nil {
			return Record{}, false, err
		}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return Record{}, false, err
	}
	known, has := s.catalog.named(name)
	if has {
		_, has = s.find(known.ID)
	}
	if !has {
		return known, false, nil
	}
	dead, err = s.buried(known.ID)
	return known, !dead, err
}

// named is Get for the threads that work on the shared folder.
func (c *Catalog) named(name string) (Record, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	record, has := c.known.records[name]
	return record, has
}
