package directory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// maxOpen is how many levels a delete holds open at once. A deeper directory is first moved to the top: a container may have
// nested thousands.
const maxOpen = 64

// batch is how many entries of a directory are read at once.
const batch = 256

// Delete removes a directory of parent and everything in it, and follows no link. It stops at a directory of another file
// system with ErrOtherFilesystem, and at the context's end. A directory that is not there is success. It can be repeated.
//
// A bind mount of the same file system cannot be seen here: the caller asks the mount table first.
func Delete(ctx context.Context, parent *os.Root, name string, given ...durable.Option) error {
	top, err := step(parent, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &Error{Path: name, Err: err}
	}
	defer func() { _ = top.Close() }()
	sweep := &sweep{ctx: ctx, top: top, given: given}
	for again := true; again; {
		sweep.moved = false
		if err := sweep.empty(top, name, nil); err != nil {
			return err
		}
		again = sweep.moved
	}
	if err := durable.Ask(durable.OpRemove, name, given...); err != nil {
		return &Error{Path: name, Err: err}
	}
	if err := parent.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &Error{Path: name, Err: cause(err)}
	}
	return Sync(parent, given...)
}

// sweep is one delete.
type sweep struct {
	ctx   context.Context //nolint:containedctx // lives as long as one call
	top   *os.Root
	given []durable.Option
	moved bool // something deep was moved to the top, which must be swept again
	count int
}

// empty deletes what is in a directory. trail are the names from the top to it.
func (s *sweep) empty(dir *os.Root, shown string, trail []string) error {
	for {
		names, err := some(dir)
		if err != nil {
			return &Error{Path: shown, Err: cause(err)}
		}
		if len(names) == 0 {
			return nil
		}
		for _, name := range names {
			if err := s.remove(dir, name, shown, trail); err != nil {
				return err
			}
		}
	}
}

// remove deletes one entry.
func (s *sweep) remove(dir *os.Root, name, shown string, trail []string) error {
	if s.ctx.Err() != nil {
		return fmt.Errorf("the delete stopped at %q: %w", shown, s.ctx.Err())
	}
	shown += "/" + name
	info, err := dir.Lstat(name)
	if err == nil && info.IsDir() {
		err = s.descend(dir, name, shown, trail)
	}
	if err == nil {
		err = durable.Ask(durable.OpRemove, name, s.given...)
	}
	if err == nil {
		err = dir.Remove(name)
	}
	var known *Error
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.As(err, &known), s.ctx.Err() != nil:
		return err
	}
	return &Error{Path: shown, Err: cause(err)}
}

// descend empties a directory, or moves it to the top when it is too deep; what was moved is no longer there to be removed.
func (s *sweep) descend(dir *os.Root, name, shown string, trail []string) error {
	if len(trail) >= maxOpen {
		return s.lift(name, trail)
	}
	sub, err := step(dir, name)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Close() }()
	return s.empty(sub, shown, append(slices.Clip(trail), name))
}

// lift moves a deep directory to the top under a name that nothing has.
func (s *sweep) lift(name string, trail []string) error {
	deep := strings.Join(trail, "/") + "/"
	for {
		s.count++
		free := fmt.Sprintf(".deep-%d", s.count)
		if _, err := s.top.Lstat(free); errors.Is(err, fs.ErrNotExist) {
			s.moved = true
			return s.top.Rename(deep+name, free)
		}
	}
}

// some lists the first entries of a directory.
func some(dir *os.Root) ([]string, error) {
	file, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	names, err := file.Readdirnames(batch)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return names, err
}
