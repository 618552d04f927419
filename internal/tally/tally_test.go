package tally

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
)

func TestTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := filepath.Join(t.TempDir(), "run")
		taken := func(wanted int) {
			t.Helper()
			lately, err := Take(folder, "x", 2, time.Hour)
			assert.NilError(t, err)
			assert.Equal(t, lately, wanted)
		}
		taken(0)
		<-time.After(time.Minute)
		taken(1)
		taken(2)
		taken(2)
		<-time.After(time.Hour - time.Minute)
		taken(1) // the first is an hour old
		taken(2)
		file := filepath.Join(folder, "x")
		assert.NilError(t, os.WriteFile(file, []byte("x\n\n2999-01-01T00:00:00Z\n"), 0o600))
		taken(0)
		assert.NilError(t, os.Remove(file))
		assert.NilError(t, os.Mkdir(file, 0o700))
		_, err := Take(folder, "x", 2, time.Hour)
		assert.Assert(t, err != nil)
	})
}
