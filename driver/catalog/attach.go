package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// Attach connects the catalog to its shared folder and refreshes it. The folder's parent, the pool's private folder, must be
// there and proven; the folder itself is made. A new folder becomes a catalog only on a node that knows no volumes. After
// an error that matches [ErrFrozen] the catalog is attached and frozen; after any other it is as before.
func (c *Catalog) Attach(ctx context.Context, sharedDir string) error {
	_, err := c.perform(ctx, sharedDir, func(ctx context.Context, s *session) error { return s.attach(ctx) })
	if err != nil && !errors.Is(err, ErrFrozen) {
		return err
	}
	c.mu.Lock()
	c.shared = sharedDir
	c.mu.Unlock()
	return err
}

// Replaces says whether Attach would take up another catalog than the one that this node knows, or begin one, without a question: a
// node that knows no volume has no record to lose. What else went with the old pool is then to be seen to before.
func (c *Catalog) Replaces(ctx context.Context, sharedDir string) (bool, error) {
	if now := c.State(); now.UUID == "" || now.Records > 0 {
		return false, nil
	}
	var replaced bool
	_, err := c.perform(ctx, sharedDir, func(_ context.Context, s *session) (err error) {
		replaced, err = s.replaces()
		return err
	})
	if err != nil { // a late answer may still be writing to replaced
		return false, err
	}
	return replaced, nil
}

// replaces leaves to Attach what freezes the catalog.
func (s *session) replaces() (bool, error) {
	data, err := s.dir.Read(headerFile, MaxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		files, err := s.list(volumesDir)
		return len(files) == 0, err
	}
	var head header
	if err == nil {
		head, err = parseHeader(data)
	}
	switch {
	case err != nil && damage(err):
		return false, nil
	case err != nil:
		return false, err
	}
	course, _ := compare(s.known, s.count, &head)
	return course == replace, nil
}

// Detach forgets the shared folder: reads go on, writes are refused with [ErrDetached].
func (c *Catalog) Detach() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shared = ""
}

// attach makes what is missing and reads what is new.
func (s *session) attach(ctx context.Context) error {
	for _, folder := range []string{volumesDir, tombstonesDir, damagedDir} {
		if err := s.dir.Mkdir(folder); err != nil {
			return err
		}
	}
	if err := s.listDamaged(); err != nil {
		return err
	}
	has, err := s.dir.Exists(headerFile)
	if err != nil {
		return err
	}
	if !has {
		if err := s.locked(ctx, s.begin); err != nil {
			return err
		}
	}
	return s.refresh(ctx)
}

// begin makes a new catalog, under the lock, if nothing is there and nothing is known that it could hide.
func (s *session) begin() error {
	has, err := s.dir.Exists(headerFile)
	if err != nil || has {
		return err // another node was first
	}
	files, err := s.list(volumesDir)
	if err != nil {
		return err
	}
	if len(files) > 0 || s.count > 0 {
		return nil // current says what is wrong
	}
	token := s.catalog.options.Token
	return s.writeHeader(header{
		Version: Version, UUID: token(), Generation: 1,
		Changes: []change{{Generation: 1, Token: token(), Kind: began}},
	})
}

// Refresh takes over what others changed: one small read when nothing did.
func (c *Catalog) Refresh(ctx context.Context) error {
	_, err := c.perform(ctx, "", func(ctx context.Context, s *session) error { return s.refresh(ctx) })
	return err
}

// refresh needs no lock to read, and takes it only to set damaged files aside; when another has it, the next time will do.
func (s *session) refresh(ctx context.Context) error {
	if err := s.current(); err != nil {
		return err
	}
	if len(s.allSuspects()) == 0 {
		return nil
	}
	return s.cleanUp(ctx)
}

func (s *session) cleanUp(ctx context.Context) error {
	lock, err := s.dir.TryLock(lockFile)
	if errors.Is(err, durable.ErrLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	if err = ctx.Err(); err == nil {
		err = s.setAside()
	}
	return errors.Join(err, lock.Unlock())
}

// Scan reads every file of the shared folder again, whatever the generation says, and sweeps what crashes left. For
// operators and for checks now and then: it costs a read per volume.
func (c *Catalog) Scan(ctx context.Context) error {
	_, err := c.perform(ctx, "", func(ctx context.Context, s *session) error { return s.rescan(ctx) })
	return err
}

func (s *session) rescan(ctx context.Context) error {
	if err := s.current(); err != nil {
		return err
	}
	if s.whole == nil && !s.allRead {
		if err := s.scan(); err != nil {
			return err
		}
	}
	before := s.catalog.options.Now().Add(-sweepAge)
	for _, folder := range []string{".", volumesDir, tombstonesDir} {
		if err := s.dir.Sweep(folder, before); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("sweep the volume catalog: %w", err)
		}
	}
	return s.cleanUp(ctx)
}
