package mounter

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Errors of a call that the kernel does not answer.
var (
	// ErrStuck says that the call's deadline came first; the call goes on in a thread of its own.
	ErrStuck = errors.New("the kernel has not answered in time")
	// ErrBusy says that an earlier call with the same key has not been answered yet.
	ErrBusy = errors.New("an earlier call is still waiting for the kernel")
	// ErrNoAddress says that neither the host nor Go's resolver knows a host name.
	ErrNoAddress = errors.New("no address is known for this name")
)

// Error is a failed operation on a mount, with what was asked.
type Error struct {
	Op     string // for example "mount", "bind", "open_tree", "statfs"
	Source string
	Target string
	// Since is when the call that is in the way began; zero unless the cause is ErrBusy or ErrStuck.
	Since time.Time
	// Done is closed when the call that is stuck has returned after all, and what it did was taken back; nil unless the cause is ErrStuck.
	Done <-chan struct{}
	Err  error // a unix.Errno, ErrStuck, ErrBusy or a wrapped cause
}

// Error says which operation failed on what.
func (e *Error) Error() string {
	text := e.Op
	if e.Source != "" {
		text += " " + e.Source
	}
	if e.Target != "" {
		text += " at " + e.Target
	}
	if !e.Since.IsZero() {
		return fmt.Sprintf("%s: %v (since %s)", text, e.Err, e.Since.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("%s: %v", text, e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// FilesError says that the folder for a mount has files in it although nothing is mounted there; it matches ENOTEMPTY.
type FilesError struct {
	Folder string // where the host has it
}

// Error says what that means and what to do.
func (e *FilesError) Error() string {
	return "the folder " + e.Folder + " under the mount, on this node's root disk, is not empty: a container wrote into it while nothing was mounted there. " +
		"Stop the containers of this volume, move that folder away, start them, and compare its files with theirs"
}

// Unwrap gives the kernel's error.
func (*FilesError) Unwrap() error { return unix.ENOTEMPTY }
