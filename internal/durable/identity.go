package durable

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Identity names the directory that root has open, for as long as it exists: its file handle (name_to_handle_at(2)), which holds
// the inode's number and generation, so that a directory made anew has another one even when it gets the number of the old. It
// is "" on a file system that has no handles.
func Identity(root *os.Root) (string, error) {
	dir, err := root.Open(".")
	if err != nil {
		return "", err
	}
	defer func() { _ = dir.Close() }()
	handle, _, err := unix.NameToHandleAt(int(dir.Fd()), "", unix.AT_EMPTY_PATH)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("identify %s: %w", root.Name(), err)
	}
	return fmt.Sprintf("%d-%s", handle.Type(), hex.EncodeToString(handle.Bytes())), nil
}
