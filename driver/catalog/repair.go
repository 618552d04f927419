package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
)

// Adopt takes the shared catalog as it is: what the folder holds is what there is. Records that only this node knows are
// kept as lost ([Catalog.Lost]) and returned. A catalog.json that is missing or damaged is made anew from the records, with
// a new UUID, so that the other nodes are asked as well.
func (c *Catalog) Adopt(ctx context.Context) ([]Record, error) {
	done, err := c.perform(ctx, "", func(ctx context.Context, s *session) error {
		return s.locked(ctx, s.adopt)
	})
	return done.lost, err
}

func (s *session) adopt() error {
	has, err := s.readHeader()
	if err != nil {
		return err
	}
	if !has {
		s.head = header{UUID: s.catalog.options.Token()}
	}
	all, err := s.inventory()
	if err != nil {
		return err
	}
	s.allRead = true
	known := s.catalog.copied()
	if err := s.announce(has, &all, known); err != nil {
		return err
	}
	if s.whole, err = s.knowledge(&all); err != nil {
		return err
	}
	s.whole.lost = known.lost
	for _, record := range known.records {
		_, present := s.whole.names[record.ID]
		_, dead := s.whole.tombstones[record.ID]
		if !present && !dead {
			s.whole.lost[record.ID] = record
		}
	}
	for id := range s.whole.names {
		delete(s.whole.lost, id)
	}
	s.compared = true
	s.lost = sortRecords(slices.Collect(maps.Values(s.whole.lost)))
	return s.setAside()
}

// announce tells the other nodes to read all again when the catalog does not simply go on for them.
func (s *session) announce(has bool, all *inventory, known *knowledge) error {
	older := known.identity.UUID == s.head.UUID
	if has && !older {
		return nil
	}
	s.head.Generation = max(s.head.Generation, all.generation)
	if older {
		s.head.Generation = max(s.head.Generation, known.identity.Generation)
	}
	return s.rewriteHeader()
}

// rewriteHeader begins the next generation without the changes before it.
func (s *session) rewriteHeader() error {
	if err := s.writable(); err != nil {
		return err
	}
	s.head.Changes = nil
	return s.writeHeader(s.head.with(change{Kind: rewritten, Token: s.catalog.options.Token()}))
}

// readHeader reads catalog.json for a repair and says whether there is a good one. A damaged one is set aside.
func (s *session) readHeader() (bool, error) {
	data, err := s.dir.Read(headerFile, MaxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		s.head, err = parseHeader(data)
	}
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, errNewer) || !damage(err):
		return false, fmt.Errorf("the volume catalog cannot be repaired: %w", err)
	}
	if err := s.dir.Mkdir(damagedDir); err != nil {
		return false, err
	}
	free, err := s.freeName(headerFile)
	if err != nil {
		return false, err
	}
	s.head = header{}
	return false, s.dir.Rename(headerFile, free)
}

// Restore writes what this node knows, lost records included, into the shared catalog, and returns how many records it
// wrote. Records that only the folder has are taken over. Where both have a name with different volumes, the folder's stays
// and this node's becomes lost, unless the folder's was removed already; a newer text of one record wins. Volumes that were
// removed stay removed.
func (c *Catalog) Restore(ctx context.Context) (int, error) {
	done, err := c.perform(ctx, "", func(ctx context.Context, s *session) error {
		return s.locked(ctx, s.restore)
	})
	return done.written, err
}

// restore announces a rewrite before and after: a node that read everything in between reads it again.
func (s *session) restore() error {
	has, err := s.readHeader()
	if err != nil {
		return err
	}
	known := s.catalog.copied()
	if !has {
		s.head = header{UUID: known.identity.UUID}
		if s.head.UUID == "" {
			s.head.UUID = s.catalog.options.Token()
		}
	}
	all, err := s.inventory()
	if err != nil {
		return err
	}
	s.allRead = true
	s.head.Generation = max(s.head.Generation, all.generation, known.identity.Generation)
	if err := s.rewriteHeader(); err != nil {
		return err
	}
	lost, err := s.writeBack(&all, known)
	if err != nil {
		return err
	}
	if err := s.rewriteHeader(); err != nil {
		return err
	}
	if s.whole, err = s.knowledge(&all); err != nil {
		return err
	}
	s.whole.lost = lost
	s.compared = true
	return s.setAside()
}

// writeBack writes the tombstones and records that the folder does not have, and returns the records that must stay lost.
func (s *session) writeBack(all *inventory, known *knowledge) (map[string]Record, error) {
	if err := s.buryAgain(all, known); err != nil {
		return nil, err
	}
	lost := map[string]Record{}
	own := append(slices.Collect(maps.Values(known.records)), sortRecords(slices.Collect(maps.Values(known.lost)))...)
	for _, record := range own {
		present, has := all.records[record.Name]
		_, dead := all.tombstones[record.ID]
		switch {
		case dead, has && present.ID == record.ID && present.Generation >= record.Generation:
			continue
		case has && present.ID != record.ID, record.Version > Version:
			lost[record.ID] = record
			continue
		}
		if _, err := s.record(record.Name); errors.Is(err, errNewer) {
			all.records[record.Name] = record // its file is newer than this plugin; it stays
			continue
		}
		record.Generation = s.head.Generation
		if err := s.writeJSON(recordFile(record.Name), record); err != nil {
			return nil, err
		}
		all.records[record.Name] = record
		s.written++
	}
	return lost, nil
}

// buryAgain removes what came back from the dead with an older state of the pool.
func (s *session) buryAgain(all *inventory, known *knowledge) error {
	for id, stone := range known.tombstones {
		if _, has := all.tombstones[id]; has {
			continue
		}
		stone.Catalog, stone.Generation = s.head.UUID, s.head.Generation
		if err := s.writeJSON(tombstoneFile(id), stone); err != nil {
			return err
		}
		if err := s.unlink(stone.Name, id); err != nil {
			return err
		}
		if record, has := all.records[stone.Name]; has && record.ID == id {
			delete(all.records, stone.Name)
		}
		all.tombstones[id] = stone
	}
	return nil
}
