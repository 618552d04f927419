package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// run is the folder of one lab: disks, exports, logs. A lock that falls with its process tells a
// living lab's folder from a dead one's; there is nothing else on the host that could be left.
type run struct {
	root *os.Root
	lock *os.File
	// kept is the folder to which logs are copied.
	kept string
}

// logsFolder is where kept logs are, for people and for CI to collect.
func logsFolder(module string) string { return filepath.Join(module, "integration", "lab", "logs") }

// newRun removes the folders of dead labs and makes one for this lab.
func newRun(cache, kept string) (*run, error) {
	runs := filepath.Join(cache, "runs")
	if err := os.MkdirAll(runs, 0o700); err != nil {
		return nil, err
	}
	if err := sweep(runs, kept); err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(runs, "")
	if err != nil {
		return nil, err
	}
	r, locked, err := openRun(folder, kept)
	if err == nil && !locked {
		err = fmt.Errorf("lab: another process holds the new folder %s", folder)
	}
	if err != nil {
		return nil, err
	}
	for _, part := range []string{"logs", "nodes", "nas"} {
		if err := r.root.Mkdir(part, 0o755); err != nil {
			return nil, errors.Join(err, r.remove())
		}
	}
	return r, nil
}

// openRun opens a lab's folder and says whether its lock could be had.
func openRun(folder, kept string) (*run, bool, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, false, err
	}
	lock, err := root.OpenFile("lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false, errors.Join(err, root.Close())
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, false, errors.Join(lock.Close(), root.Close())
	}
	return &run{root: root, lock: lock, kept: kept}, true, err
}

// sweep removes the folders of labs whose process is dead and keeps their logs: a test binary that
// ran into its time limit could not do so itself.
func sweep(runs, kept string) error {
	entries, err := os.ReadDir(runs)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		r, locked, err := openRun(filepath.Join(runs, entry.Name()), kept)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !locked {
			continue // its lab lives, or has just removed it
		}
		if err != nil {
			return err
		}
		if _, err := r.keepLogs("unfinished-" + entry.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := r.remove(); err != nil {
			return err
		}
	}
	return nil
}

// path is the absolute path of something in the folder.
func (r *run) path(parts ...string) string {
	return filepath.Join(append([]string{r.root.Name()}, parts...)...)
}

// keepLogs copies the logs to the folder of that name and returns its path.
func (r *run) keepLogs(name string) (string, error) {
	if err := os.MkdirAll(r.kept, 0o755); err != nil {
		return "", err
	}
	kept, err := os.OpenRoot(r.kept)
	if err != nil {
		return "", err
	}
	defer kept.Close() //nolint:errcheck // read-only use of a folder
	if err := kept.RemoveAll(name); err != nil {
		return "", err
	}
	target := filepath.Join(r.kept, name)
	return target, os.CopyFS(target, os.DirFS(r.path("logs")))
}

// remove removes the folder. The lock is freed last, when there is nothing left to take.
func (r *run) remove() error {
	runs, err := os.OpenRoot(filepath.Dir(r.root.Name()))
	if err != nil {
		return err
	}
	return errors.Join(runs.RemoveAll(filepath.Base(r.root.Name())), runs.Close(), r.root.Close(), r.lock.Close())
}
