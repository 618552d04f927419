package mounter_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/mounter"
)

// A disk is forgotten for real in the lab (TestNodes/service), where there is one.
func TestUncacheOfWhatIsNotTheDisk(t *testing.T) {
	f := newFixture(t)
	file := filepath.Join(f.folder, t.Name())
	assert.NilError(t, os.WriteFile(file, nil, 0o600))
	t.Cleanup(func() { assert.Check(t, os.Remove(file)) })
	parts := []mounter.Part{{Offset: 4096, Length: 4096}, {}}
	err := f.Uncache(t.Context(), mounter.Mount{Source: file, Device: "8:0"}, parts)
	assert.ErrorIs(t, err, unix.ENODEV)
	assert.ErrorContains(t, err, "uncache at "+file)
	assert.ErrorIs(t, f.Uncache(t.Context(), mounter.Mount{Source: file + "x", Device: "8:0"}, parts), unix.ENOENT)
	assert.ErrorIs(t, f.Uncache(t.Context(), mounter.Mount{Source: "/dev/null", Device: "1:3"}, parts), unix.ENODEV, "no disk")
	for _, failing := range []string{"open", "fstat"} {
		f.fault = func(op string) error {
			if op == failing {
				return unix.EIO
			}
			return nil
		}
		assert.Assert(t, errors.Is(f.Uncache(t.Context(), mounter.Mount{Source: "/dev/null", Device: "1:3"}, parts), unix.EIO), failing)
	}
}
