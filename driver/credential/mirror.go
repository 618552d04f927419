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
	"strings"

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

// GiveBack is the reverse of [Store.Mirror], for a pool that lost its credentials or has older ones: it writes this node's copies there, and
// tells the names of those that were written. Without over, what the pool has stays, and inline logins of volumes are left out: they
// belong to the records that the pool has.
func (s *Store) GiveBack(ctx context.Context, poolFolder string, over bool) ([]string, error) {
	var written []string
	err := s.kernel.Do(ctx, poolKey, func() (err error) {
		written, err = s.giveBack(poolFolder, over)
		return err
	})
	if err != nil { // a late answer may still be writing to it
		return nil, fmt.Errorf("write this node's copies of the credentials to the pool: %w", err)
	}
	return written, nil
}

func (s *Store) giveBack(poolFolder string, over bool) ([]string, error) {
	written := []string{}
	copies := s.kernel.HostPath(filepath.Join(s.folder, mirrorFolder))
	have, err := names(copies)
	if err != nil {
		return nil, err
	}
	there, unusable, err := read(poolFolder)
	if err != nil {
		return nil, err
	}
	for _, name := range have {
		if !over && (there[name] != nil || unusable[name] != nil || strings.HasPrefix(name, ForVolume(""))) {
			continue
		}
		copied, err := ReadFile(filepath.Join(copies, name), filepath.Join(s.folder, mirrorFolder, name))
		if err != nil || bytes.Equal(there[name], copied.text()) {
			continue // what cannot be read here helps nobody there
		}
		if err := s.write(poolFolder, name, copied.text(), durable.Make()); err != nil {
			return written, err
		}
		written = append(written, name)
	}
	return written, nil
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
