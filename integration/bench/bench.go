package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/homelab-storage/homelab-storage/integration/engine"
)

// section is a group of measurements that fail together.
type section struct {
	name, title string
	measure     func(*bench, context.Context) error
}

// sections are in the order in which they are measured. Those before "sqlite" use the engine, the others end it first.
func sections() []section {
	return []section{
		{"run", "docker run --rm -v, managed plugin on a real engine", (*bench).measureRun},
		{"sqlite", "SQLite in a volume, against the bare pool directory", (*bench).measureSQLite},
		{"mount", "Mount and Unmount, plugin alone, on its socket", (*bench).measureMounts},
		{"sync", "durable writes of one call (counted by strace)", (*bench).measureSyncs},
		{"start", "start with 10,000 volumes", (*bench).measureStart},
		{"reads", "calls with 10,000 volumes", (*bench).measureReads},
		{"memory", "memory with 10,000 volumes", (*bench).measureMemory},
	}
}

func sectionNames() string {
	names := make([]string, 0, len(sections()))
	for _, s := range sections() {
		names = append(names, s.name)
	}
	return strings.Join(names, ",")
}

// bench is one run of the benchmark.
type bench struct {
	report *report
	engine *engine.Engine
	// folder is on the real disk and at the same path on the machine and in the throwaway host; it ends with the host.
	folder string
	// plugin is the folder that `docker plugin create` takes, binary the plugin's program in folder.
	plugin, binary string
	engineEnded    bool
	few, many      populated // with 10 and with 10,000 volumes
}

// newBench builds what is measured and starts the host.
func newBench(ctx context.Context) (*bench, error) {
	b := &bench{report: &report{}}
	plugin, err := pluginFolder(ctx)
	if err != nil {
		return nil, err
	}
	if b.engine, err = engine.Start(ctx, engine.Options{}); err != nil {
		return nil, err
	}
	b.plugin, b.folder = plugin, filepath.Join(filepath.Dir(b.engine.LogFile()), "bench")
	b.binary = filepath.Join(b.folder, "homelab-storage")
	if err := b.prepare(); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// pluginFolder is PLUGIN_FOLDER, or what scripts/build-plugin makes.
func pluginFolder(ctx context.Context) (string, error) {
	if folder := os.Getenv("PLUGIN_FOLDER"); folder != "" {
		return filepath.Abs(folder)
	}
	progress("building the plugin")
	if text, err := exec.CommandContext(ctx, "scripts/build-plugin").CombinedOutput(); err != nil {
		return "", fmt.Errorf("scripts/build-plugin, run from the repository's root: %w: %s", err, text)
	}
	return filepath.Abs("bin/plugin-" + runtime.GOARCH)
}

// prepare copies the program to where the host sees it, wherever the repository is.
func (b *bench) prepare() error {
	if err := os.Mkdir(b.folder, 0o755); err != nil {
		return err
	}
	program, err := os.ReadFile(filepath.Join(b.plugin, "rootfs/homelab-storage"))
	if err != nil {
		return err
	}
	return os.WriteFile(b.binary, program, 0o755)
}

// close ends everything that runs; the host takes its files and mounts with it.
func (b *bench) close() error { return b.engine.Close() }

// measure does one section. What goes wrong is a line of the report, and the next section is measured all the same.
func (b *bench) measure(ctx context.Context, s section) {
	progress("measuring: " + s.title)
	b.report.section = s.title
	if err := s.measure(b, ctx); err != nil {
		b.report.fail(err)
	}
}

// endEngine leaves the host to the plugin alone.
func (b *bench) endEngine(ctx context.Context) error {
	if b.engineEnded {
		return nil
	}
	b.engineEnded = true
	return b.engine.Shutdown(ctx)
}

// progress says on standard error what takes the time.
func progress(text string) { fmt.Fprintln(os.Stderr, "bench:", text) }
