package durable

import (
	"encoding/hex"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Identity names the folder for as long as it exists: its file handle (name_to_handle_at(2)), which holds the inode's number and
// generation, so that a folder made anew has another one even when it gets the number of the old. It is "" on a file system that
// has no handles.
func (d *Dir) Identity() (string, error) {
	var handle unix.FileHandle
	err := d.at(func(folder int) (err error) {
		handle, _, err = unix.NameToHandleAt(folder, "", unix.AT_EMPTY_PATH)
		return err
	})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("identify %s: %w", d.path, err)
	}
	return fmt.Sprintf("%d-%s", handle.Type(), hex.EncodeToString(handle.Bytes())), nil
}
