package main

import (
	"context"
	"os"
	"runtime/debug"
	"time"
)

// When garbage is collected, in percent of what is in use (GOGC overrides both), measured with 10,000 volumes.
const (
	// startPercent holds while the records are read. The heap only grows then, so that a collection costs much and finds
	// little: the first List is answered 110 ms after the start; it would be 190 ms at Go's 100.
	startPercent = 400
	// steadyPercent keeps the process small on nodes that have better uses for memory: 35-37 MB resident, loaded and listed
	// five times (peaks of 36-45), instead of 40-50 MB at Go's 100.
	steadyPercent = 30
	// rush is how long after the start the engine may still be asking for every volume.
	rush = 2 * time.Second
)

// collectLittle is for the time of the start; collectAll ends it.
func collectLittle() { setPercent(startPercent) }

// collectAll waits until the start is over, and gives back the memory that it took.
func collectAll(ctx context.Context) {
	timer := time.NewTimer(rush)
	defer timer.Stop()
	select {
	case <-timer.C:
		setPercent(steadyPercent)
		debug.FreeOSMemory()
	case <-ctx.Done():
	}
}

func setPercent(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}
