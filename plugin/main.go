// Command homelab-storage is the Docker volume plugin and the operator's command line, in one static binary: `serve` is the
// plugin, everything else a command (see package cli).
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/homelab-storage/homelab-storage/plugin/cli"
)

// version is set by the linker, which can replace a constant only.
var version = "devel"

// Namespace work locks a thread, changes it and lets it end with its goroutine. On the process's first thread, which Go
// cannot end, that would show the host's mount table as our own for good (FACTS 1). Locked here, it is never used for that.
func init() { runtime.LockOSThread() } //nolint:gochecknoinits // only init runs on the first thread for certain

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code := cli.Run(ctx, os.Args, cli.Options{Version: version, In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Serve: serve})
	stop()
	os.Exit(code)
}
