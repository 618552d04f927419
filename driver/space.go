package driver

import (
	"errors"
	"fmt"
	"syscall"
)

// roomFor says what to do about a disk that is full. The error before it names the file; on a pool, removed data is the first to go.
func roomFor(err error) error {
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return err
	}
	return fmt.Errorf("%w; make room there: `docker homelab trash ls` lists what removed volumes left on the pools, and "+
		"`docker homelab trash empty --all` deletes it for good", err)
}
