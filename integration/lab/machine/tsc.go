package machine

import (
	"fmt"
	"sync"
	"time"
)

// tscLength is how long the counter is watched, and tscTries how often it is read at either end: the reading that was interrupted least
// counts.
const (
	tscLength = 100 * time.Millisecond
	tscTries  = 20
)

// clock is the kernel argument that tells an emulated guest how quick its time stamp counter is, which is the host's (QEMU,
// cpu_get_ticks). A guest that measures it against an emulated timer may be wrong by far on a busy host: a clock ran three times too
// fast, and the other machines found a certificate of that one not valid yet. It is "" where the host has no such counter.
//
//nolint:gochecknoglobals // measured once
var clock = sync.OnceValue(func() string {
	from, first := read()
	<-time.After(tscLength)
	to, last := read()
	khz := float64(last-first) / float64(to.Sub(from)) * 1e6
	if khz < 1 {
		return ""
	}
	return fmt.Sprintf("tsc_early_khz=%.0f", khz)
})

// read gives the counter and when it was read.
func read() (at time.Time, count uint64) {
	shortest := time.Hour
	for range tscTries {
		before := time.Now()
		counted := ticks()
		if took := time.Since(before); took < shortest {
			shortest, at, count = took, before.Add(took/2), counted
		}
	}
	return at, count
}
