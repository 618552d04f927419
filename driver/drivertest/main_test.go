package drivertest

import (
	"os"
	"testing"
)

// TestMain has the tests work in memory when there is such a folder: thousands of drivers are started, and what an fsync does on a
// real disk is not what these tests show.
func TestMain(m *testing.M) {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() && os.Getenv("TMPDIR") == "" {
		if err := os.Setenv("TMPDIR", "/dev/shm"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
