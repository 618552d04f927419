//go:build integration

package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/engine"
	"github.com/homelab-storage/homelab-storage/integration/need"
	"github.com/homelab-storage/homelab-storage/integration/standin"
)

// driver is the plugin's name in every test, as users have it.
const driver = "homelab-storage:latest"

// shared is the engine of the tests that restart neither it nor the plugin and set nothing.
var shared struct {
	sync.Mutex
	engine *engine.Engine
}

// built is the folder with the plugin: PLUGIN_FOLDER, or what scripts/build-plugin makes once.
var built = sync.OnceValues(func() (string, error) {
	if folder := os.Getenv("PLUGIN_FOLDER"); folder != "" {
		return folder, nil
	}
	if text, err := exec.Command("../scripts/build-plugin").CombinedOutput(); err != nil {
		return "", fmt.Errorf("scripts/build-plugin: %w: %s", err, text)
	}
	return filepath.Abs("../bin/plugin-" + runtime.GOARCH)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.engine != nil {
		if err := shared.engine.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// plugged is the shared engine, with the plugin enabled in standalone mode and the stand-in image.
func plugged(t *testing.T) *engine.Engine {
	t.Helper()
	need.Engine(t)
	shared.Lock()
	defer shared.Unlock()
	if shared.engine == nil {
		shared.engine = boot(t, engine.Options{})
		install(t, shared.engine, "STANDALONE=true")
	}
	tellLog(t, shared.engine)
	return shared.engine
}

// fresh is an engine for one test.
func fresh(t *testing.T, options engine.Options, settings ...string) *engine.Engine {
	t.Helper()
	e := bare(t, options)
	install(t, e, settings...)
	return e
}

// bare is an engine for one test that has no plugin yet.
func bare(t *testing.T, options engine.Options) *engine.Engine {
	t.Helper()
	need.Engine(t)
	e := boot(t, options)
	t.Cleanup(func() { assert.NilError(t, e.Close()) })
	tellLog(t, e)
	return e
}

func boot(t *testing.T, options engine.Options) *engine.Engine {
	t.Helper()
	e, err := engine.Start(t.Context(), options)
	assert.NilError(t, err)
	var image bytes.Buffer
	assert.NilError(t, standin.Write(t.Context(), &image))
	_, err = e.DockerInput(t.Context(), &image, "import", "-", standin.Name)
	assert.NilError(t, err)
	return e
}

func install(t *testing.T, e *engine.Engine, settings ...string) {
	t.Helper()
	assert.NilError(t, e.CreatePlugin(t.Context(), driver, pluginFolder(t), settings...))
}

func pluginFolder(t *testing.T) string {
	t.Helper()
	folder, err := built()
	assert.NilError(t, err)
	return folder
}

// tellLog adds the engine's log, which has the plugin's, to the output of a test that fails.
func tellLog(t *testing.T, e *engine.Engine) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(e.LogTail())
		}
	})
}

// ok runs a docker command that has to succeed and returns what it printed.
func ok(t *testing.T, e *engine.Engine, args ...string) string {
	t.Helper()
	text, err := e.Docker(t.Context(), args...)
	assert.NilError(t, err)
	return strings.TrimSpace(text)
}

// refused runs a docker command that has to fail and returns what it said.
func refused(t *testing.T, e *engine.Engine, args ...string) string {
	t.Helper()
	text, err := e.Docker(t.Context(), args...)
	failure := (*engine.Failure)(nil)
	assert.Assert(t, errors.As(err, &failure), "docker %s: %v; it printed: %s", strings.Join(args, " "), err, text)
	return failure.Text
}

// cleanly runs a docker command after the test, whatever its outcome: it only clears away.
func cleanly(t *testing.T, e *engine.Engine, args ...string) {
	t.Helper()
	t.Cleanup(func() { _, _ = e.Docker(context.Background(), args...) })
}
