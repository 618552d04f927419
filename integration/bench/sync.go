package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
)

// tracer makes strace write down the calls that wait for the disk, and nothing else, so that little is slowed down.
func tracer(file string) []string {
	return []string{
		"strace", "--follow-forks", "--seccomp-bpf", "--quiet=all", "--output", file,
		"--trace=fsync,fdatasync,syncfs,sync,sync_file_range,msync",
	}
}

// measureSyncs counts, from outside, what one call of each kind waits for. Times under a tracer mean nothing and are not
// taken.
func (b *bench) measureSyncs(ctx context.Context) error {
	d, err := b.manyDaemon(ctx)
	if err != nil {
		return err
	}
	if err := d.stop(); err != nil {
		return err
	}
	trace := d.folder + ".trace"
	if err := d.start(ctx, tracer(trace)...); err != nil {
		return err
	}
	if _, err := d.activate(ctx); err != nil {
		return err
	}
	// Only now: the tracer first tries itself on a child of its own. It ends with the program, with the program's code.
	if d.pid, err = childOf(ctx, d.pid); err != nil {
		return err
	}
	// The first Mount after a boot also tells the other nodes that this one is up.
	first := request{Name: volumeName(db, 1), ID: "first"}
	for _, method := range []string{"VolumeDriver.Mount", "VolumeDriver.Unmount"} {
		if _, _, err := d.client.call(ctx, method, first); err != nil {
			return err
		}
	}
	if err := b.countSyncs(ctx, d, trace); err != nil {
		return err
	}
	return d.stop()
}

// countSyncs makes the calls one after the other, each with a volume of its own.
func (b *bench) countSyncs(ctx context.Context, d *daemon, trace string) error {
	const number = 7 // not among those of measureMounts
	for _, class := range []string{db, config} {
		use := request{Name: volumeName(class, number), ID: "counted"}
		again := request{Name: use.Name, ID: "counted again"}
		for _, call := range []struct {
			what, method string
			asked        request
		}{
			{"Mount, ", "VolumeDriver.Mount", use},
			{"Mount while mounted, ", "VolumeDriver.Mount", again},
			{"Unmount while used otherwise, ", "VolumeDriver.Unmount", again},
			{"Unmount, ", "VolumeDriver.Unmount", use},
			{"Mount, its hold still kept, ", "VolumeDriver.Mount", use},
		} {
			text, err := d.counted(ctx, trace, call.method, call.asked)
			if err != nil {
				return err
			}
			b.report.add(call.what+class, text, "", information)
		}
		if _, _, err := d.client.call(ctx, "VolumeDriver.Unmount", use); err != nil {
			return err
		}
	}
	return nil
}

// counted makes one call and says what waited for the disk meanwhile.
func (d *daemon) counted(ctx context.Context, trace, method string, asked request) (string, error) {
	before, err := os.ReadFile(trace)
	if err != nil {
		return "", err
	}
	if _, _, err := d.client.call(ctx, method, asked); err != nil {
		return "", err
	}
	after, err := os.ReadFile(trace)
	if err != nil {
		return "", err
	}
	return describeSyncs(after[len(before):]), nil
}

// describeSyncs counts the calls in the lines of a trace: "1234 fsync(7) = 0". A call that another thread interrupts in
// the trace has a second line, which is not counted: "1234 <... fsync resumed>) = 0".
func describeSyncs(trace []byte) string {
	var names []string
	counts := map[string]int{}
	for line := range bytes.Lines(trace) {
		_, call, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		name, _, isCall := strings.Cut(strings.TrimSpace(call), "(")
		if !isCall || strings.HasPrefix(name, "<") {
			continue
		}
		if counts[name]++; counts[name] == 1 {
			names = append(names, name)
		}
	}
	parts := make([]string, 0, len(names))
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%d %s", counts[name], name))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
