// Package tally counts what must not be done too often, across processes and not across boots: a process that ends, or is started, again
// and again does nothing for anybody.
package tally

import (
	"errors"
	"io/fs"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// size bounds a tally, in bytes.
const size = 1 << 10

// Take counts one more at this moment, in a file of a folder below /run, unless there were as many already as there may be within the
// period. It gives how many there were; when those are fewer than most, it may be done. What is no time in the file is not counted. The
// error is that of the folder or the file, and then nothing may be done.
func Take(folder, file string, most int, period time.Duration) (lately int, err error) {
	dir, err := durable.Open(folder, durable.MakeAll(), durable.Volatile())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	text, err := dir.Read(file, size)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	now, kept := time.Now(), []string(nil)
	for line := range strings.Lines(string(text)) {
		at, err := time.Parse(time.RFC3339, strings.TrimSpace(line))
		if age := now.Sub(at); err == nil && age >= 0 && age < period {
			kept = append(kept, at.Format(time.RFC3339))
		}
	}
	if lately = len(kept); lately >= most {
		return lately, nil
	}
	return lately, dir.Write(file, []byte(strings.Join(append(kept, now.UTC().Format(time.RFC3339)), "\n")+"\n"))
}
