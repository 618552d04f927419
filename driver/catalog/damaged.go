package catalog

import (
	"errors"
	"fmt"
	"strings"
)

// suspect reports a file of the folder of records that cannot be used, and has it set aside unless a newer version wrote
// it. A name is given when the file is that of a volume.
func (s *session) suspect(file, name string, cause error) {
	path := volumesDir + "/" + file
	if errors.Is(cause, errNewer) {
		s.problems[path] = Problem{File: path, Name: name, Text: fmt.Sprintf("volume %s is not listed from this file: %v", name, cause)}
		return
	}
	s.problems[path] = Problem{File: path, Name: name, Text: fmt.Sprintf("%s is not used: %v", path, cause)}
	s.suspects[file] = struct{}{}
}

// setAside moves the suspects out of the way, under the lock and after another look: another node may have done it, or
// written the record anew.
func (s *session) setAside() error {
	for file := range s.allSuspects() {
		if !s.stillBad(file) {
			continue
		}
		free, err := s.freeName(file)
		if err != nil {
			return err
		}
		if err := s.dir.Mkdir(damagedDir); err != nil {
			return err
		}
		if err := s.dir.Rename(volumesDir+"/"+file, free); err != nil {
			return err
		}
		delete(s.problems, volumesDir+"/"+file)
		delete(s.suspects, file)
		s.cleared = append(s.cleared, file)
		s.reportDamaged(free)
	}
	return nil
}

func (s *session) allSuspects() map[string]struct{} {
	all := map[string]struct{}{}
	s.catalog.mu.RLock()
	defer s.catalog.mu.RUnlock()
	for file := range s.catalog.suspects {
		all[file] = struct{}{}
	}
	for file := range s.suspects {
		all[file] = struct{}{}
	}
	return all
}

func (s *session) stillBad(file string) bool {
	name, isRecord := strings.CutSuffix(file, suffix)
	if !isRecord || !ValidName(name) {
		has, err := s.dir.Exists(volumesDir + "/" + file)
		return err == nil && has
	}
	_, err := s.record(name)
	return err != nil && damage(err) && !errors.Is(err, errNewer)
}

// freeName finds the first number that makes a free name in the folder of damaged files.
func (s *session) freeName(file string) (string, error) {
	for number := 1; ; number++ {
		name := fmt.Sprintf("%s/%s.%d", damagedDir, file, number)
		if has, err := s.dir.Exists(name); err != nil || !has {
			return name, err
		}
	}
}

// listDamaged reports what was set aside earlier, until an operator has dealt with it.
func (s *session) listDamaged() error {
	files, err := s.list(damagedDir)
	if err != nil {
		return err
	}
	for _, file := range files {
		s.reportDamaged(damagedDir + "/" + file)
	}
	return nil
}

func (s *session) reportDamaged(path string) {
	name := damagedName(path)
	s.problems[path] = Problem{File: path, Name: name, Text: fmt.Sprintf("%q was not a valid record and was set aside as %s/%s; "+
		"put it right and move it back to %s/%s, or delete it", name, s.where, path, s.where, recordFile(name))}
}

// damagedName is the volume's name in "damaged/NAME.json.N".
func damagedName(path string) string {
	file := strings.TrimPrefix(path, damagedDir+"/")
	if at := strings.LastIndex(file, suffix+"."); at >= 0 {
		return file[:at]
	}
	return file
}

// refuseDamaged keeps a new volume from taking the name of one whose record was set aside.
func (s *session) refuseDamaged(name string) error {
	files, err := s.list(damagedDir)
	if err != nil {
		return err
	}
	for _, file := range files {
		if damagedName(file) == name {
			return fmt.Errorf("%w: the record of volume %s was set aside as %s/%s/%s; put it right and move it back to %s/%s, "+
				"or delete it, then create the volume again", ErrDamaged, name, s.where, damagedDir, file, s.where, recordFile(name))
		}
	}
	return nil
}
