package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/homelab-storage/homelab-storage/mounter"
)

// The folders of the product, below the root.
const (
	runFolder    = "run/homelab-storage"
	stateFolder  = "var/lib/homelab-storage"
	configFolder = "etc/homelab-storage"
	// dataFolder, below the state's, has the data of volumes that are on this node alone, and their records.
	dataFolder = "local"
)

// write replaces a file as a whole; it is root's and everybody may read it.
func (h *Host) write(name, text string) error {
	root, err := os.OpenRoot(h.Root)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	fresh := name + ".new"
	if err := errors.Join(root.MkdirAll(path.Dir(name), 0o755), root.WriteFile(fresh, []byte(text), 0o644), root.Chmod(fresh, 0o644), root.Rename(fresh, name)); err != nil {
		return fmt.Errorf("writing /%s (only root may): %w", name, err)
	}
	return nil
}

// remove removes a file or folder, with all that is in it, when nothing is mounted there. What is gone already is success.
func (h *Host) remove(name string) error {
	mounts, err := h.mountsBelow(name)
	if err != nil {
		return err
	}
	if len(mounts) > 0 {
		return fmt.Errorf("/%s is not removed, since something is mounted in it: %s; unmount it", name, strings.Join(mounts, ", "))
	}
	root, err := os.OpenRoot(h.Root)
	if err != nil {
		return err
	}
	if err := errors.Join(root.RemoveAll(name), root.Close()); err != nil {
		return fmt.Errorf("removing /%s: %w", name, err)
	}
	return nil
}

// removeUnit removes a unit, and its folder when it has one that nobody else has a file in.
func (h *Host) removeUnit(name string) error {
	file := path.Join(unitFolder, name)
	if err := h.remove(file); err != nil {
		return err
	}
	folder := path.Dir(file)
	entries, err := fs.ReadDir(os.DirFS(h.Root), folder)
	if folder == unitFolder || err != nil || len(entries) > 0 {
		return nil //nolint:nilerr // a folder that is gone, or another's, is no failure
	}
	return h.remove(folder)
}

func (h *Host) mountsBelow(name string) ([]string, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	table, err := mounter.ReadTable(file)
	if err != nil {
		return nil, err
	}
	var found []string
	folder := path.Join(h.Root, name)
	for _, mount := range table {
		if mount.Target == folder || strings.HasPrefix(mount.Target, folder+"/") {
			found = append(found, mount.Target)
		}
	}
	return found, nil
}

// RunFolder is the plugin's folder of what ends with a reboot.
func (h *Host) RunFolder() string { return path.Join(h.Root, runFolder) }

// StateFolder is the plugin's folder of what outlives a reboot.
func (h *Host) StateFolder() string { return path.Join(h.Root, stateFolder) }

// Forget removes what ends with a reboot anyway.
func (h *Host) Forget() error { return h.remove(runFolder) }

// RemoveProgram removes the command `docker homelab`, also while it runs.
func (h *Host) RemoveProgram() error { return h.remove(strings.TrimPrefix(h.Program, "/")) }

// Purge removes the node's state and configuration. The data of volumes on this node stays, and its folder is returned; "" when
// there is none.
func (h *Host) Purge() (kept string, err error) {
	entries, err := fs.ReadDir(os.DirFS(h.Root), stateFolder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("looking at the state: %w", err)
	}
	for _, entry := range entries {
		if entry.Name() == dataFolder && h.hasData() {
			kept = "/" + path.Join(stateFolder, dataFolder)
			continue
		}
		if err := h.remove(path.Join(stateFolder, entry.Name())); err != nil {
			return kept, err
		}
	}
	if kept == "" {
		if err := h.remove(stateFolder); err != nil {
			return "", err
		}
	}
	return kept, h.remove(configFolder)
}

// hasData says whether any volume of this node alone may have data: that of class cache, and those of the standalone pool, whose
// private folder, with the trash of removed volumes, counts as well.
func (h *Host) hasData() bool {
	for _, folder := range []string{"volumes", "standalone"} {
		entries, err := fs.ReadDir(os.DirFS(h.Root), path.Join(stateFolder, dataFolder, folder))
		if len(entries) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}

// Brought says which pools the plugin has mounted since the boot and not unmounted, by the notes in the run folder: it has to be
// enabled for their unmounting.
func (h *Host) Brought() ([]string, error) {
	notes, err := fs.Glob(os.DirFS(h.Root), path.Join(runFolder, "pools", "*.json"))
	if err != nil {
		return nil, err
	}
	var pools []string
	for _, note := range notes {
		text, err := fs.ReadFile(os.DirFS(h.Root), note)
		if err != nil {
			return nil, err
		}
		if strings.Contains(string(text), `"mounted":true`) || strings.Contains(string(text), `"target"`) {
			pools = append(pools, strings.TrimSuffix(path.Base(note), ".json"))
		}
	}
	return pools, nil
}
