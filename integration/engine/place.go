package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// prefix begins the name of every host's folder. /var/tmp is on a disk, which /tmp need not be, and the name is short,
// because the paths of sockets are at most 107 bytes long (unix(7)).
const prefix = "/var/tmp/homelab-storage-engine-"

// place is what a host occupies outside: a folder, whose lock says that the owner lives, and control groups.
type place struct {
	folder string
	lock   *os.File
}

// newPlace makes and locks a folder. It gets its final name when it is locked, so that reap never sees it without.
func newPlace() (*place, error) {
	fresh, err := os.MkdirTemp(filepath.Dir(prefix), "new-"+filepath.Base(prefix))
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	lock, err := take(fresh, os.O_CREATE)
	if err != nil {
		return nil, err
	}
	p := &place{folder: prefix + strings.TrimPrefix(filepath.Base(fresh), "new-"+filepath.Base(prefix)), lock: lock}
	if err := os.Rename(fresh, p.folder); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	if err := os.WriteFile(p.configuration(), []byte("{}\n"), 0o600); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	return p, nil
}

// lockName is of the first file in a folder, and of the last one that is removed.
const lockName = "lock"

// take locks a folder for as long as this program lives, without waiting. Locks fall with the process that holds them. Who makes the
// folder makes the lock: in one that is just being removed it would be in the way.
func take(folder string, create int) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(folder, lockName), create|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("engine: lock %s: %w", folder, err), lock.Close())
	}
	return lock, nil
}

// configuration is dockerd's file: an empty one, so that the machine's own is not read.
func (p *place) configuration() string { return filepath.Join(p.folder, "daemon.json") }

// cgroup is the parent of every control group that the engine makes.
func (p *place) cgroup() string { return "/" + filepath.Base(p.folder) }

// remove removes the control groups and the folder of a host that has ended.
func (p *place) remove() error {
	err := removeCgroups("/sys/fs/cgroup", filepath.Base(p.cgroup()))
	entries, problem := os.ReadDir(p.folder)
	if errors.Is(problem, fs.ErrNotExist) { // its owner was about to remove it when it was found
		problem = nil
	}
	for _, entry := range entries {
		if entry.Name() != lockName {
			problem = errors.Join(problem, os.RemoveAll(filepath.Join(p.folder, entry.Name())))
		}
	}
	if problem == nil {
		problem = os.RemoveAll(p.folder)
	}
	return errors.Join(err, problem, p.lock.Close())
}

// reap removes the places that ended programs of this user have left.
func reap() error {
	folders, err := filepath.Glob(prefix + "*")
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	var failed []error
	for _, folder := range folders {
		if !mine(folder) {
			continue
		}
		lock, err := take(folder, 0)
		switch {
		case errors.Is(err, syscall.EWOULDBLOCK): // in use
		case errors.Is(err, fs.ErrNotExist):
			_ = os.Remove(folder) // it is just being removed, or was when its program was killed
		case err != nil:
			failed = append(failed, err)
		default:
			failed = append(failed, (&place{folder: folder, lock: lock}).remove())
		}
	}
	return errors.Join(failed...)
}

// mine tells a folder of this user from what others put into a folder that all may write to.
func mine(folder string) bool {
	info, err := os.Lstat(folder)
	if err != nil || !info.IsDir() {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Getuid()
}

// removeCgroups removes the groups of that name and below it in every hierarchy: cgroup v1 has one for each controller,
// v2 a single one.
func removeCgroups(root, name string) error {
	var groups []string
	for _, pattern := range []string{filepath.Join(root, name), filepath.Join(root, "*", name)} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return fmt.Errorf("engine: %w", err)
		}
		groups = append(groups, found...)
	}
	var failed []error
	for _, group := range groups {
		failed = append(failed, removeTree(group))
	}
	return errors.Join(failed...)
}

// removeTree removes folders from the deepest up. The kernel's files in them go with their folder.
func removeTree(group string) error {
	var folders []string
	err := filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			folders = append(folders, path)
		}
		return err
	})
	for _, folder := range slices.Backward(folders) {
		err = errors.Join(err, os.Remove(folder))
	}
	if err != nil {
		return fmt.Errorf("engine: control group %s: %w", strings.TrimPrefix(group, "/sys/fs/cgroup/"), err)
	}
	return nil
}
