package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// cache is the cache folder, locked for this process while it is open.
type cache struct {
	root *os.Root
	lock *os.File
}

// lockPoll is how often a waiting process looks whether the builder has finished.
const lockPoll = 200 * time.Millisecond

// openCache opens the folder and waits for its lock.
func openCache(ctx context.Context, folder string) (*cache, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	lock, err := root.OpenFile("build.lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	ticker := time.NewTicker(lockPoll)
	defer ticker.Stop()
	for {
		err := flock(lock, syscall.LOCK_EX)
		if err == nil {
			return &cache{root: root, lock: lock}, nil
		}
		select {
		case <-ctx.Done():
			err = fmt.Errorf("another process builds in %s: %w", folder, errors.Join(context.Cause(ctx), err))
			return nil, errors.Join(err, lock.Close(), root.Close())
		case <-ticker.C:
		}
	}
}

func (c *cache) close() {
	_ = c.lock.Close() // frees the lock
	_ = c.root.Close()
}

// entry returns the path of the named folder, which build fills under a temporary name if it does
// not exist yet.
func (c *cache) entry(name string, build func(out string) error) (string, error) {
	path := filepath.Join(c.root.Name(), name)
	if _, err := c.root.Stat(name); err == nil {
		return path, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	temporary := "tmp-" + name
	if err := c.root.RemoveAll(temporary); err != nil { // what a killed builder left
		return "", err
	}
	if err := c.root.Mkdir(temporary, 0o755); err != nil {
		return "", err
	}
	if err := build(filepath.Join(c.root.Name(), temporary)); err != nil {
		return "", fmt.Errorf("%w (what was built so far is in %s)", err, filepath.Join(c.root.Name(), temporary))
	}
	return path, c.root.Rename(temporary, name)
}

// prune removes entries of other keys. An image that another lab uses stays.
func (c *cache) prune(keep ...string) error {
	entries, err := fs.ReadDir(c.root.FS(), ".")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		kind, _, found := strings.Cut(entry.Name(), "-")
		if !found || slices.Contains(keep, entry.Name()) || !slices.Contains([]string{"tmp", "tree", "image", "agent"}, kind) {
			continue
		}
		if kind == "image" && c.inUse(entry.Name()) {
			continue
		}
		if err := c.root.RemoveAll(entry.Name()); err != nil {
			return err
		}
	}
	return nil
}

func (c *cache) inUse(image string) bool {
	hold, err := c.root.OpenFile(filepath.Join(image, "hold"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return false
	}
	defer hold.Close() //nolint:errcheck // frees the lock that was only tried
	return flock(hold, syscall.LOCK_EX) != nil
}

// share marks an image as used until the file is closed or this process ends.
func share(image string) (*os.File, error) {
	hold, err := os.OpenFile(filepath.Join(image, "hold"), os.O_CREATE|os.O_RDWR, 0o644) //nolint:gosec // G302: a lock, no content
	if err != nil {
		return nil, err
	}
	if err := flock(hold, syscall.LOCK_SH); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", hold.Name(), err), hold.Close())
	}
	return hold, nil
}

// flock tries to lock without waiting.
func flock(file *os.File, how int) error {
	return syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB)
}
