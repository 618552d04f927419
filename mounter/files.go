package mounter

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// FilesUnder gives a [FilesError] when a folder for a mount, as the host names it, has files in it although nothing is mounted there. It
// needs no [Linux], and no running plugin. What is mounted is not looked into.
func FilesUnder(folder string) error {
	var found unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, folder, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT|unix.AT_STATX_DONT_SYNC, 0, &found)
	if err != nil {
		return fmt.Errorf("looking for a mount at %s: %w", folder, err)
	}
	if found.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return nil
	}
	files, err := hasFiles(folder)
	if err == nil && files {
		err = &FilesError{Folder: folder}
	}
	return err
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
