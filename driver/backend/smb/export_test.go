package smb

import (
	"context"
	"os"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// LongestPause is the end of the back-off.
const LongestPause = longestPause

// Checked waits for the looks that Check began.
func (b *Backend) Checked() { b.checks.group.Wait() }

// Key is the share mount of a location.
func (b *Backend) Key(location backend.Location) string {
	s, err := newShare(b.root, location)
	if err != nil {
		return ""
	}
	return s.key
}

// Understood lists the options that are understood, for the tests.
func Understood() []string { return understood() }

// Visit works in a location's share.
func (b *Backend) Visit(ctx context.Context, location backend.Location, work func(root *os.Root) error) error {
	s, err := newShare(b.root, location)
	if err != nil {
		return err
	}
	_, err = b.visit(ctx, s, work)
	return err
}
