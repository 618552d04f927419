package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	memoryGoal = 40 << 10 // KiB
	// settleTime is how long the resident memory may go on changing after the calls.
	settleTime = 15 * time.Second
)

// measureMemory starts the plugin anew, lists all volumes twice, and waits until its memory does not change any more.
func (b *bench) measureMemory(ctx context.Context) error {
	d, err := b.manyDaemon(ctx)
	if err != nil {
		return err
	}
	if err := d.stop(); err != nil {
		return err
	}
	if err := d.serve(ctx); err != nil {
		return err
	}
	for range 2 {
		if err := d.check(ctx, manyVolumes); err != nil {
			return err
		}
	}
	resident, err := settled(ctx, d.pid)
	if err != nil {
		return err
	}
	peak, err := kibibytes(d.pid, "VmHWM")
	if err != nil {
		return err
	}
	file, err := kibibytes(d.pid, "RssFile")
	if err != nil {
		return err
	}
	b.report.judge("resident, after start and two Lists", megabytes(resident), "<= "+megabytes(memoryGoal), resident <= memoryGoal)
	b.report.add("of it pages of the program's file", megabytes(file), "", information)
	b.report.add("peak", megabytes(peak), "", information)
	return nil
}

func megabytes(kibibytes int) string { return fmt.Sprintf("%.1f MiB", float64(kibibytes)/1024) }

// settled reads the resident memory until it stayed the same, but for 1 %, for two seconds, or for settleTime.
func settled(ctx context.Context, pid int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	const calm = 10
	last, quiet := 0, 0
	for quiet < calm {
		now, err := kibibytes(pid, "VmRSS")
		if err != nil {
			return 0, err
		}
		if change := now - last; change*100 > last || -change*100 > last {
			last, quiet = now, 0
		} else {
			quiet++
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return now, nil
		}
	}
	return kibibytes(pid, "VmRSS")
}

// kibibytes reads a number of /proc/PID/status (proc(5)).
func kibibytes(pid int, name string) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		}
	}
	return 0, fmt.Errorf("process %d has no %s", pid, name)
}
