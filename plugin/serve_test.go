package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/plugin/cli"
	"github.com/homelab-storage/homelab-storage/plugin/config"
	"github.com/homelab-storage/homelab-storage/plugin/protocol"
)

// daemon is a plain daemon in folders of its own.
type daemon struct {
	options cli.ServeOptions
	client  *protocol.Client
	stop    context.CancelFunc
	ended   chan error
}

// folders makes the options of a daemon whose settings are harmless: no pool, and no engine.
func folders(t *testing.T) cli.ServeOptions {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir) // its path may be too long for a socket's
	t.Setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
	t.Setenv("LOG_LEVEL", "error")
	t.Setenv("STANDALONE", "true")
	return cli.ServeOptions{
		Socket: "p.sock", StateDir: filepath.Join(dir, "state"), RunDir: filepath.Join(dir, "run"),
		MountRoot: filepath.Join(dir, "volumes"), Config: filepath.Join(dir, "config.yaml"),
	}
}

func start(t *testing.T, options cli.ServeOptions) *daemon {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	d := &daemon{options: options, client: protocol.NewClient(options.Socket), stop: stop, ended: make(chan error, 1)}
	go func() { d.ended <- serve(ctx, options) }()
	t.Cleanup(stop)
	return d
}

// end stops the daemon as SIGTERM does.
func (d *daemon) end(t *testing.T) {
	t.Helper()
	d.stop()
	select {
	case err := <-d.ended:
		assert.NilError(t, err)
	case <-time.After(20 * time.Second):
		t.Fatal("the daemon did not end")
	}
}

// reach waits until the socket answers.
func (d *daemon) reach(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for time.Since(began) < 10*time.Second {
		<-ticker.C
		if _, err := d.client.Health(t.Context()); err == nil || !strings.Contains(err.Error(), "does not answer") {
			return time.Since(began)
		}
	}
	t.Fatal("the socket does not answer")
	return 0
}

func TestDaemon(t *testing.T) {
	options := folders(t)
	assert.NilError(t, os.WriteFile(options.Config, nil, 0o600))
	first := start(t, options)
	t.Logf("measured: ready after %s", first.reach(t))
	health, err := first.client.Health(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, health.Version, version)
	assert.Equal(t, len(health.Problems), 0, "%v", health.Problems)

	other := options
	other.StateDir += "2"
	err = serve(t.Context(), other)
	assert.ErrorContains(t, err, "answers on p.sock; stop it, or choose another path with --socket")
	first.end(t)
	_, err = os.Stat(options.Socket)
	assert.ErrorContains(t, err, "no such file", "the socket was left")

	second := start(t, options)
	second.reach(t)
	second.end(t)
}

// A plugin that cannot work stays and says why: the engine would disable one that ends.
func TestDaemonThatCannotWork(t *testing.T) {
	options := folders(t)
	assert.NilError(t, os.WriteFile(options.StateDir, nil, 0o600))
	d := start(t, options)
	d.reach(t)
	_, err := d.client.Health(t.Context())
	assert.ErrorContains(t, err, options.StateDir)
	d.end(t)
}

// A wrong configuration is told, and stops nothing.
func TestDaemonWithAWrongConfiguration(t *testing.T) {
	options := folders(t)
	d := start(t, options)
	d.reach(t)
	health, err := d.client.Health(t.Context())
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(strings.Join(health.Problems, "\n"), "config.yaml: does not exist"), "%v", health.Problems)
	d.end(t)
}

// What is wrong goes to standard error, all else to standard output, each line once.
func TestLog(t *testing.T) {
	for format, wanted := range map[string]string{
		"json": `"level":"%s","msg":"said"`,
		"text": "level=%s msg=said\n",
	} {
		t.Setenv("LOG_LEVEL", "debug")
		t.Setenv("LOG_FORMAT", format)
		var output, complaints strings.Builder
		log := newLog(config.ReadProcess(os.Getenv), &output, &complaints)
		for _, level := range []logrus.Level{logrus.ErrorLevel, logrus.WarnLevel, logrus.InfoLevel, logrus.DebugLevel, logrus.TraceLevel} {
			log.Log(level, "said")
		}
		for stream, levels := range map[*strings.Builder][]string{&complaints: {"error", "warning"}, &output: {"info", "debug"}} {
			lines := strings.SplitAfter(strings.TrimSuffix(stream.String(), "\n"), "\n")
			assert.Equal(t, len(lines), len(levels), "%q", lines)
			for at, level := range levels {
				assert.Assert(t, strings.Contains(lines[at]+"\n", fmt.Sprintf(wanted, level)), "%q", lines[at])
			}
		}
	}
}
