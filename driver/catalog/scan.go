package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// inventory is everything that the shared folder holds.
type inventory struct {
	records    map[string]Record    // by name
	tombstones map[string]tombstone // by ID
	generation uint64               // the highest one of any record
}

// inventory reads every record and tombstone. Records of buried volumes, left by a crash, are passed over.
func (s *session) inventory() (inventory, error) {
	all := inventory{records: map[string]Record{}, tombstones: map[string]tombstone{}}
	if err := s.listDamaged(); err != nil {
		return all, err
	}
	stones, err := s.list(tombstonesDir)
	if err != nil {
		return all, err
	}
	for _, file := range stones {
		id := strings.TrimSuffix(file, suffix)
		stone, has, err := s.tombstone(id)
		if err != nil {
			return all, err
		}
		if has {
			all.tombstones[id] = stone
		}
	}
	files, err := s.list(volumesDir)
	if err != nil {
		return all, err
	}
	for _, file := range files {
		if err := s.takeFile(file, &all); err != nil {
			return all, err
		}
	}
	return all, nil
}

// takeFile reads one file of the folder of records.
func (s *session) takeFile(file string, all *inventory) error {
	name, isRecord := strings.CutSuffix(file, suffix)
	if !isRecord || !ValidName(name) {
		s.suspect(file, "", fmt.Errorf("%w: %q is not the file of a volume", ErrInvalid, file))
		return nil
	}
	record, err := s.record(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // removed meanwhile
	case err != nil && damage(err):
		s.suspect(file, name, err)
		return nil
	case err != nil:
		return err
	}
	all.generation = max(all.generation, record.Generation)
	if _, dead := all.tombstones[record.ID]; !dead {
		all.records[name] = record
	}
	return nil
}

// list names the files of a folder, without temporary ones. A folder that is missing is empty.
func (s *session) list(folder string) ([]string, error) {
	entries, err := s.dir.List(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		if !durable.IsTemporary(entry.Name()) {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// scan reads everything and takes it over, unless it contradicts what this node knows.
func (s *session) scan() error {
	all, err := s.inventory()
	if err != nil {
		return err
	}
	s.allRead = true
	known := s.catalog.copied()
	if reason := all.contradicts(known); reason != "" {
		return s.freeze(reason)
	}
	for id, stone := range all.tombstones {
		if _, has := known.tombstones[id]; !has {
			s.learn(event{Bury: &stone})
		}
	}
	for name, record := range all.records {
		if has, known := known.records[name]; !known || has.Generation != record.Generation || has.ID != record.ID {
			s.learn(event{Put: &record})
		}
	}
	s.missing(&all, known)
	now, err := s.settle()
	if err == nil {
		s.identify(now)
	}
	return err
}

// settle is the identity after everything was read: the last change may still be on its way.
func (s *session) settle() (identity, error) {
	now := s.head.identity()
	if last := s.head.last(); !last.Void {
		settled, err := s.settled(last)
		if err != nil {
			return identity{}, err
		}
		if !settled {
			now.Settled--
		}
	}
	return now, nil
}

// contradicts finds signs that the folder is an older state than the one that this node saw.
func (i *inventory) contradicts(known *knowledge) string {
	for name, record := range known.records {
		present, has := i.records[name]
		_, dead := i.tombstones[record.ID]
		switch {
		case !has || dead:
		case present.ID != record.ID:
			return fmt.Sprintf("it has another volume %s (%s) than this node knows (%s), which nobody removed", name, present.ID, record.ID)
		case present.Generation < record.Generation:
			return fmt.Sprintf("its record of volume %s is of generation %d, this node knows generation %d: the pool was rolled back",
				name, present.Generation, record.Generation)
		}
	}
	for id, stone := range known.tombstones {
		if present, has := i.records[stone.Name]; has && present.ID == id {
			return fmt.Sprintf("it has volume %s again, which was removed at %s: the pool was rolled back",
				stone.Name, stone.RemovedAt.UTC().Format("2006-01-02 15:04:05 UTC"))
		}
	}
	return ""
}

// missing reports volumes whose record file is gone without a tombstone. They stay listed.
func (s *session) missing(all *inventory, known *knowledge) {
	for name, record := range known.records {
		_, has := all.records[name]
		_, dead := all.tombstones[record.ID]
		_, suspected := s.problems[recordFile(name)]
		if has || dead || suspected {
			continue
		}
		s.problems[recordFile(name)] = Problem{File: recordFile(name), Name: name, Text: fmt.Sprintf(
			"the record of volume %s is gone from the pool, and nobody removed the volume; it is still listed here. "+
				"\"docker homelab catalog restore\" writes it back", name)}
	}
}

// takeOver makes the folder's catalog this node's own: it had no record to lose.
func (s *session) takeOver() error {
	all, err := s.inventory()
	if err != nil {
		return err
	}
	s.allRead = true
	if s.whole, err = s.knowledge(&all); err != nil {
		return err
	}
	s.whole.lost = s.catalog.copied().lost
	return nil
}

// knowledge is what a node knows that knows only what is in the folder.
func (s *session) knowledge(all *inventory) (*knowledge, error) {
	whole := newKnowledge()
	for _, stone := range all.tombstones {
		whole.apply(event{Bury: &stone})
	}
	for _, record := range all.records {
		whole.apply(event{Put: &record})
	}
	var err error
	if whole.identity, err = s.settle(); err != nil {
		return nil, err
	}
	s.known = whole.identity
	return whole, nil
}

// copied is a copy of what is known, for a thread that may be abandoned.
func (c *Catalog) copied() *knowledge {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.known.clone()
}
