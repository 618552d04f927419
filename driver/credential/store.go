package credential

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// ErrNotFound says that no credentials have the name.
var ErrNotFound = errors.New("there are no such credentials")

// mirrorFolder is below the node's folder; its name is no valid name of credentials.
const mirrorFolder = ".pool"

// Mounter is what the store needs of a mounter.Mounter: file work that may hang.
type Mounter interface {
	HostPath(path string) string
	Do(ctx context.Context, key string, work func() error) error
}

// Store keeps named credentials. Its methods may be called at once.
type Store struct {
	kernel  Mounter
	folder  string // a path of the host
	options []durable.Option
}

// NewStore keeps credentials in a folder of the host (<state dir>/credentials), which is made when something is stored.
func NewStore(kernel Mounter, folder string, options ...durable.Option) *Store {
	return &Store{kernel: kernel, folder: folder, options: options}
}

// Entry is what may be told of credentials.
type Entry struct {
	Name     string `json:"name"`
	Username string `json:"username"`
	Domain   string `json:"domain,omitempty"`
	Pool     bool   `json:"pool"` // a copy of the catalog pool's file
	Problem  string `json:"problem,omitempty"`
}

// ForVolume is the name under which a volume's inline credentials are stored.
func ForVolume(volumeID string) string { return "volume-" + volumeID }

// CheckName refuses a name that cannot be a file's.
func CheckName(name string) error {
	if !regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$`).MatchString(name) {
		return fmt.Errorf("the name of credentials %q must be 1 to 128 letters, digits, dots, underscores or hyphens and begin with a letter or digit", name)
	}
	return nil
}

// Get reads credentials by name: the node's own file, else the copy of the pool's.
func (s *Store) Get(ctx context.Context, name string) (Credentials, error) {
	if err := CheckName(name); err != nil {
		return Credentials{}, err
	}
	var found Credentials
	err := s.kernel.Do(ctx, "credentials", func() (err error) {
		found, err = s.read(name)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return Credentials{}, fmt.Errorf("%w: %q; store them with `docker homelab credentials set %s --username USER`, or write the file %s", ErrNotFound, name, name, filepath.Join(s.folder, name))
	}
	if err != nil {
		return Credentials{}, err
	}
	return found, nil
}

func (s *Store) read(name string) (Credentials, error) {
	own := filepath.Join(s.folder, name)
	found, err := ReadFile(s.kernel.HostPath(own), own)
	if !errors.Is(err, fs.ErrNotExist) {
		return found, err
	}
	copied := filepath.Join(s.folder, mirrorFolder, name)
	return ReadFile(s.kernel.HostPath(copied), copied)
}

// Set stores credentials on this node, durably, in place of those of the same name.
func (s *Store) Set(ctx context.Context, name string, credentials Credentials) error {
	if err := errors.Join(CheckName(name), credentials.Check()); err != nil {
		return err
	}
	return s.kernel.Do(ctx, "credentials", func() error {
		return s.write(s.kernel.HostPath(s.folder), name, credentials.text(), durable.MakeAll())
	})
}

// SetAll stores credentials in the catalog pool's private folder, for all nodes, and copies them to this one.
func (s *Store) SetAll(ctx context.Context, poolFolder, name string, credentials Credentials) error {
	if err := errors.Join(CheckName(name), credentials.Check()); err != nil {
		return err
	}
	// Its parent is there as long as the pool is mounted: no password goes to the disk below it.
	err := s.kernel.Do(ctx, poolKey, func() error { return s.write(poolFolder, name, credentials.text(), durable.Make()) })
	if err != nil {
		return err
	}
	return s.mirrorOf(ctx, poolFolder, name)
}

// mirrorOf copies a pool's credentials after a change of one name. Others that cannot be used are no failure of that change.
func (s *Store) mirrorOf(ctx context.Context, poolFolder, name string) error {
	unusable, err := s.mirror(ctx, poolFolder)
	if err != nil {
		return err
	}
	return unusable[name]
}

// Remove takes the node's credentials of a name away. The error matches [ErrNotFound] when there are none.
func (s *Store) Remove(ctx context.Context, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	return s.kernel.Do(ctx, "credentials", func() error { return s.remove(s.kernel.HostPath(s.folder), name, "on this node") })
}

// RemoveAll takes the credentials of a name away from the pool and from this node's copies. The error matches [ErrNotFound] when
// the pool has none.
func (s *Store) RemoveAll(ctx context.Context, poolFolder, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	err := s.kernel.Do(ctx, poolKey, func() error { return s.remove(poolFolder, name, "for all nodes") })
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return errors.Join(err, s.mirrorOf(ctx, poolFolder, name))
}

// List tells of all credentials, by name; those that cannot be read carry their problem.
func (s *Store) List(ctx context.Context) ([]Entry, error) {
	var entries []Entry
	err := s.kernel.Do(ctx, "credentials", func() error {
		own, err := names(s.kernel.HostPath(s.folder))
		if err != nil {
			return err
		}
		copied, err := names(s.kernel.HostPath(filepath.Join(s.folder, mirrorFolder)))
		if err != nil {
			return err
		}
		for _, name := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(own, copied)))) {
			entries = append(entries, s.entry(name, !slices.Contains(own, name)))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

func (s *Store) entry(name string, pool bool) Entry {
	found, err := s.read(name)
	entry := Entry{Name: name, Username: found.Username, Domain: found.Domain, Pool: pool}
	if err != nil {
		entry.Problem = err.Error()
	}
	return entry
}

// sweepAge is the age at which a temporary file on the pool is what a write that was cut off left, and not another node's.
const sweepAge = time.Hour

// Sweep removes from this node's folders what a write that was cut off before a time left. The pool's is swept by who writes there.
func (s *Store) Sweep(ctx context.Context, before time.Time) error {
	return s.kernel.Do(ctx, "credentials", func() error {
		for _, folder := range []string{s.folder, filepath.Join(s.folder, mirrorFolder)} {
			dir, err := durable.Open(s.kernel.HostPath(folder), s.options...)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			if err := errors.Join(dir.Sweep(".", before), dir.Close()); err != nil {
				return err
			}
		}
		return nil
	})
}

// names lists a folder's credentials; a folder that is missing has none.
func names(folder string) ([]string, error) {
	dir, err := durable.Open(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries, err := dir.List(".")
	var found []string
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), ".") && CheckName(entry.Name()) == nil {
			found = append(found, entry.Name())
		}
	}
	return found, errors.Join(err, dir.Close())
}

// write also removes what a write that was cut off long ago left: it may hold a password.
func (s *Store) write(folder, name string, text []byte, making durable.Option) error {
	dir, err := durable.Open(folder, append([]durable.Option{making, durable.WithSweep(sweepAge, time.Now)}, s.options...)...)
	if err != nil {
		return err
	}
	return errors.Join(dir.Write(name, text), dir.Close())
}

func (s *Store) remove(folder, name, whose string) error {
	none := fmt.Errorf("%w: %q %s; `docker homelab credentials ls` lists them", ErrNotFound, name, whose)
	dir, err := durable.Open(folder, s.options...)
	if errors.Is(err, fs.ErrNotExist) {
		return none
	}
	if err != nil {
		return err
	}
	there, err := dir.Exists(name)
	switch {
	case err == nil && there:
		err = dir.Remove(name)
	case err == nil:
		err = none
	}
	return errors.Join(err, dir.Close())
}
