package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

func main() {
	strict := flag.Bool("strict", false, "exit with 1 when a goal is missed")
	only := flag.String("only", "", "comma-separated sections to measure: "+sectionNames())
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := run(ctx, *only, *strict)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	os.Exit(code)
}

// run measures and prints, and returns the exit code.
func run(ctx context.Context, only string, strict bool) (code int, err error) {
	wanted := func(section) bool { return true }
	if only != "" {
		names := strings.Split(only, ",")
		for _, name := range names {
			if !slices.ContainsFunc(sections(), func(s section) bool { return s.name == name }) {
				return 2, fmt.Errorf("there is no section %q; the sections are: %s", name, sectionNames())
			}
		}
		wanted = func(s section) bool { return slices.Contains(names, s.name) }
	}
	if os.Getuid() != 0 {
		return 1, errors.New("it makes namespaces and mounts: run it as root")
	}
	b, err := newBench(ctx)
	if err != nil {
		return 1, err
	}
	defer func() {
		if closed := b.close(); closed != nil {
			code, err = 1, errors.Join(err, closed)
		}
	}()
	b.report.machine = describeMachine(b.folder)
	for _, s := range sections() {
		if !wanted(s) {
			continue
		}
		b.measure(ctx, s)
		if ctx.Err() != nil {
			return 1, errors.New("interrupted; nothing is left behind")
		}
	}
	return exitCode(b.report, strict), b.report.write(os.Stdout)
}

func exitCode(r *report, strict bool) int {
	if r.count(unmeasured) > 0 || strict && r.count(missed) > 0 {
		return 1
	}
	return 0
}
