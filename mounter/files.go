package mounter

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"
	"golang.org/x/sys/unix"

	"github.com/homelab-storage/homelab-storage/internal/several"
)

// FilesBelow gives a [FilesError] for every volume's folder, in the folder that the engine shares with a plugin, which has files in it
// although nothing is mounted there. It needs no [Linux], and no running plugin. A mount is not looked into: this process sees it, or, from
// another mount namespace, the bare folder itself, which tells the same. What it sees mounted is not asked anything either, since a server
// or a cluster that hangs does not answer.
func FilesBelow(shared string) error {
	folder, err := filepath.EvalSymlinks(shared) // as the mount table has it
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var table []Mount
	if err == nil {
		table, err = ownTable()
	}
	if err != nil {
		return fmt.Errorf("looking for files under the volumes' mounts: %w", err)
	}
	return filesBelow(folder, table)
}

func ownTable() ([]Mount, error) {
	file, err := os.Open("/proc/thread-self/mountinfo")
	if err != nil {
		return nil, err
	}
	table, err := ReadTable(file)
	return table, errors.Join(err, file.Close())
}

func filesBelow(folder string, table []Mount) error {
	volumes, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("looking for files under the volumes' mounts: %w", err)
	}
	on, _ := coveringMount(table, folder)
	var problems *multierror.Error
	for _, volume := range volumes {
		name := filepath.Join(folder, volume.Name())
		mounted := slices.ContainsFunc(table, func(m Mount) bool { return m.Target == name && m.Parent == on.ID })
		if volume.IsDir() && !strings.HasPrefix(volume.Name(), ".") && !mounted {
			problems = several.Append(problems, filesUnder(name))
		}
	}
	return problems.ErrorOrNil()
}

// filesUnder looks at one folder. What is mounted or removed at that moment is no bare folder with files.
func filesUnder(folder string) (err error) {
	found, err := unix.Open(folder, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for a mount at %s: %w", folder, err)
	}
	defer func() { err = errors.Join(err, unix.Close(found)) }()
	var facts unix.Statx_t
	if err := unix.Statx(found, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, 0, &facts); err != nil {
		return fmt.Errorf("looking for a mount at %s: %w", folder, err)
	}
	if facts.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return nil
	}
	files, err := hasFiles(fmt.Sprintf("/proc/self/fd/%d/.", found)) // what was found, whatever is mounted over it meanwhile
	if err != nil {
		return fmt.Errorf("looking for files in %s: %w", folder, err)
	}
	if files {
		return &FilesError{Folder: folder}
	}
	return nil
}

func hasFiles(folder string) (bool, error) {
	open, err := os.Open(folder)
	if err != nil {
		return false, err
	}
	_, err = open.Readdirnames(1)
	if err = errors.Join(err, open.Close()); errors.Is(err, io.EOF) {
		return false, nil
	}
	return err == nil, err
}
