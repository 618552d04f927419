package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// Tombstones are kept for keepTombstones, longer than a node is likely to be away; a node that comes back later still
// lists what was removed meanwhile, and "docker homelab catalog adopt" ends that. Each Remove drops at most a few of the
// older ones, so that none takes long.
const (
	keepTombstones = 90 * 24 * time.Hour
	dropAtOnce     = 16
)

// Remove writes the tombstone of a volume and removes its record, with as many fsyncs as Put. An ID that is gone is
// success. The volume's data is its backend's matter.
func (c *Catalog) Remove(ctx context.Context, id string) error {
	if !validID(id) {
		return fmt.Errorf("%w: the ID %q of a volume to remove", ErrInvalid, id)
	}
	_, err := c.perform(ctx, "", func(ctx context.Context, s *session) error {
		return s.locked(ctx, func() error { return s.remove(id) })
	})
	return err
}

// remove does the work of Remove under the lock. The tombstone is the removal; the record's file may come back after a
// power cut and is passed over then, so that its removal needs no fsync.
func (s *session) remove(id string) error {
	if err := s.current(); err != nil {
		return err
	}
	record, has := s.find(id)
	if !has {
		return nil
	}
	if dead, err := s.buried(id); err != nil {
		return err
	} else if dead {
		return s.unlink(record.Name, id)
	}
	if err := s.advance(change{Kind: removed, Name: record.Name, ID: id}); err != nil {
		return err
	}
	stone := tombstone{
		Version: Version, ID: id, Name: record.Name, Catalog: s.head.UUID,
		Generation: s.head.Generation, RemovedAt: s.catalog.options.Now().UTC(),
	}
	if err := s.writeJSON(tombstoneFile(id), stone); err != nil {
		return err
	}
	s.learn(event{Bury: &stone})
	s.identify(s.head.identity())
	if err := s.unlink(record.Name, id); err != nil {
		return err
	}
	return s.expire()
}

// unlink removes a volume's record file, unless another volume has the name by now.
func (s *session) unlink(name, id string) error {
	record, err := s.record(name)
	switch {
	case err != nil && (errors.Is(err, fs.ErrNotExist) || damage(err)), err == nil && record.ID != id:
		return nil // it is not this volume's any more
	case err != nil:
		return err
	}
	return s.dir.Unlink(recordFile(name))
}

// expire drops some of the tombstones that are old enough, unless the removed record's file is still there.
func (s *session) expire() error {
	for _, stone := range s.catalog.expired() {
		if err := s.unlink(stone.Name, stone.ID); err != nil {
			return err
		}
		if err := s.dir.Unlink(tombstoneFile(stone.ID)); err != nil {
			return err
		}
		s.events = append(s.events, event{Expire: stone.ID})
	}
	return nil
}

// expired picks tombstones to drop.
func (c *Catalog) expired() []tombstone {
	before := c.options.Now().Add(-keepTombstones)
	c.mu.RLock()
	defer c.mu.RUnlock()
	var old []tombstone
	for _, stone := range c.known.tombstones {
		if stone.RemovedAt.Before(before) {
			old = append(old, stone)
		}
		if len(old) == dropAtOnce {
			break
		}
	}
	return old
}
