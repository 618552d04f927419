package credential

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/hashicorp/go-multierror"

	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/internal/several"
)

// Mirror makes this node's copies equal to the credentials of a pool's private folder, a path that this process can open
// (<private>/credentials, of a proven pool). A file that is unsafe or cannot be read is reported and leaves its old copy;
// one that is gone from the pool goes here too. A pool folder that is missing has no credentials; that its parent is missing is an error.
func (s *Store) Mirror(ctx context.Context, poolFolder string) error {
	unusable, err := s.mirror(ctx, poolFolder)
	if err != nil {
		return err
	}
	var problems *multierror.Error
	for _, name := range slices.Sorted(maps.Keys(unusable)) {
		problems = several.Append(problems, unusable[name])
	}
	return problems.ErrorOrNil()
}

// mirror is Mirror with what is wrong by name.
func (s *Store) mirror(ctx context.Context, poolFolder string) (unusable map[string]error, err error) {
	var found map[string]error
	// One piece of work: between a look at the pool and the copies no other call may store credentials, whose copy would go.
	err = s.kernel.Do(ctx, poolKey, func() error {
		wanted, problems, err := read(poolFolder)
		if err != nil {
			return fmt.Errorf("read the pool's credentials: %w", err)
		}
		if err := s.replace(wanted, problems); err != nil {
			return fmt.Errorf("copy the pool's credentials: %w", err)
		}
		found = problems
		return nil
	})
	if err != nil { // a late answer may still be writing to found
		return nil, err
	}
	return found, nil
}

// poolKey is the key of work on a pool's credentials: one piece at a time.
const poolKey = "credentials of the pool"

// read reads a pool's credentials, and tells of those that cannot be used.
func read(poolFolder string) (wanted map[string][]byte, unusable map[string]error, err error) {
	wanted, unusable = map[string][]byte{}, map[string]error{}
	if _, err := os.Stat(filepath.Dir(poolFolder)); err != nil {
		return nil, nil, fmt.Errorf("its private folder is gone; was it unmounted? %w", cause(err)) // that says nothing of the credentials
	}
	found, err := names(poolFolder)
	for _, name := range found {
		credentials, err := ReadFile(filepath.Join(poolFolder, name), "credentials/"+name+" of the pool")
		if err != nil {
			unusable[name] = err
			continue
		}
		wanted[name] = credentials.text()
	}
	return wanted, unusable, err
}

// refresh writes a copy unless it is equal: an fsync costs more than a read.
func refresh(dir *durable.Dir, name string, text []byte) error {
	old, err := dir.Read(name, maxFile)
	switch {
	case err == nil && bytes.Equal(old, text):
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return dir.Write(name, text)
}

// replace writes what changed and removes what is no longer wanted. The copy of what cannot be used stays.
func (s *Store) replace(wanted map[string][]byte, unusable map[string]error) error {
	folder := s.kernel.HostPath(filepath.Join(s.folder, mirrorFolder))
	have, err := names(folder)
	if err != nil || len(have)+len(wanted) == 0 {
		return err
	}
	dir, err := durable.Open(folder, append([]durable.Option{durable.MakeAll()}, s.options...)...)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	for name, text := range wanted {
		if err := refresh(dir, name, text); err != nil {
			return err
		}
	}
	for _, name := range slices.DeleteFunc(have, func(name string) bool { return wanted[name] != nil || unusable[name] != nil }) {
		if err := dir.Remove(name); err != nil {
			return err
		}
	}
	return nil
}
