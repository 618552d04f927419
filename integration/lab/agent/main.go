// Command agent is the lab's hand inside a machine: it serves package remote, as root, to whoever
// holds the other end of its link. In a guest that is a virtio serial port found by name; in the
// lab's host-side namespaces it is standard input and output, whose end ends the agent.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/integration/lab/remote"
)

// portWait is how long the port may take to appear after the start of a guest.
const portWait = 30 * time.Second

func main() {
	port := flag.String("port", "", "name of the virtio serial port to serve; empty: standard input and output")
	flag.Parse()
	log := logrus.NewEntry(logrus.New())
	if err := run(*port, log); err != nil {
		log.WithError(err).Error("agent failed")
		os.Exit(1)
	}
}

func run(port string, log *logrus.Entry) error {
	if port == "" {
		return remote.Serve(stdio{}, log)
	}
	ctx, cancel := context.WithTimeout(context.Background(), portWait)
	defer cancel()
	link, err := openPort(ctx, port)
	if err != nil {
		return err
	}
	log.WithField("port", port).Info("agent serves")
	return remote.Serve(link, log)
}

// stdio joins standard input and output to one stream.
type stdio struct{}

func (stdio) Read(p []byte) (int, error)  { return os.Stdin.Read(p) }
func (stdio) Write(p []byte) (int, error) { return os.Stdout.Write(p) }
func (stdio) Close() error                { return errors.Join(os.Stdin.Close(), os.Stdout.Close()) }

// openPort waits for the port, because its driver may still be loading, and opens it.
func openPort(ctx context.Context, name string) (io.ReadWriteCloser, error) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		if device := findPort(name); device != "" {
			return os.OpenFile(device, os.O_RDWR, 0)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("no virtio serial port is named %q: %w", name, ctx.Err())
		case <-ticker.C:
		}
	}
}

// findPort returns the device of the port of that name, or "".
func findPort(name string) string {
	entries, err := filepath.Glob("/sys/class/virtio-ports/*/name")
	if err != nil {
		return ""
	}
	for _, entry := range entries {
		content, err := os.ReadFile(entry)
		if err == nil && strings.TrimSpace(string(content)) == name {
			return filepath.Join("/dev", filepath.Base(filepath.Dir(entry)))
		}
	}
	return ""
}
