package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
)

// describeMachine tells in general what the numbers were measured on, and how busy it was before.
func describeMachine(folder string) string {
	load := "unknown"
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		load, _, _ = strings.Cut(string(text), " ")
	}
	return fmt.Sprintf("%s, %d CPUs (%s), Linux %s, %s, load %s at the start",
		runtime.GOARCH, runtime.NumCPU(), processor(), kernel(), fileSystem(folder), load)
}

// processor is the name that the first CPU gives itself.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if name, found := strings.CutPrefix(line, "model name"); found {
			return strings.TrimLeft(strings.TrimSpace(name), ": \t")
		}
	}
	return "unknown"
}

// kernel is the version's first numbers; what follows names its maker.
func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	version, _, _ := bytes.Cut(bytes.TrimSpace(text), []byte("-"))
	return string(version)
}

// fileSystem names what a folder is on.
func fileSystem(folder string) string {
	var facts syscall.Statfs_t
	if err := syscall.Statfs(folder, &facts); err != nil {
		return "unknown file system"
	}
	names := map[int64]string{0xef53: "ext4", 0x58465342: "xfs", 0x9123683e: "btrfs", 0x01021994: "tmpfs", 0x794c7630: "overlay"}
	if name, known := names[facts.Type]; known {
		return name
	}
	return fmt.Sprintf("file system %#x", facts.Type)
}
