package catalog

import (
	"errors"
	"io/fs"
)

// catchUp compares the header with what this node knows and reads what is new.
func (s *session) catchUp() error {
	next, reason := compare(s.known, s.count, &s.head)
	s.compared = true
	switch next {
	case freeze:
		return s.freeze(reason)
	case replace:
		return s.takeOver()
	case readAll:
		return s.scan()
	case follow:
		return s.follow()
	case nothing:
	}
	return nil
}

// follow reads what the changes after the settled generation name.
func (s *session) follow() error {
	now := s.head.identity()
	for _, change := range s.head.Changes {
		if change.Generation <= s.known.Settled || change.Void {
			continue
		}
		done, err := s.take(change)
		if err != nil {
			return err
		}
		if !done && change.Generation == s.head.Generation {
			now.Settled-- // its writer is still at it, or died; look again
		}
	}
	s.identify(now)
	return nil
}

// take reads the file that a change announced and says whether it is there.
func (s *session) take(change change) (done bool, err error) {
	if change.Kind == removed {
		stone, has, err := s.tombstone(change.ID)
		if has {
			s.learn(event{Bury: &stone})
		}
		return has, err
	}
	record, err := s.record(change.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil && damage(err):
		s.suspect(change.Name+suffix, change.Name, err)
		return true, nil
	case err != nil:
		return false, err
	}
	dead, err := s.buried(record.ID)
	if err != nil {
		return false, err
	}
	if !dead {
		s.learn(event{Put: &record})
	}
	return record.Generation >= change.Generation, nil
}
