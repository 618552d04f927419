//go:build integration

package integration

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/engine"
)

// composeProgram is the Docker Compose that tools/compose pins, built by the first test that needs it.
var composeProgram = sync.OnceValues(func() (string, error) {
	command := exec.Command("go", "tool", "-modfile=tools/compose/go.mod", "-n", "github.com/docker/compose/v2/cmd")
	command.Dir = ".."
	path, err := command.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = errors.New(string(exit.Stderr))
	}
	return strings.TrimSpace(string(path)), err
})

// withCompose puts Compose where this engine's client looks for plugins, as a package would.
func withCompose(t *testing.T, e *engine.Engine) *engine.Engine {
	t.Helper()
	program, err := composeProgram()
	assert.NilError(t, err)
	folder := filepath.Join(filepath.Dir(e.LogFile()), "client", "cli-plugins")
	assert.NilError(t, os.MkdirAll(folder, 0o700))
	assert.NilError(t, os.Symlink(program, filepath.Join(folder, "docker-compose")))
	return e
}

func compose(t *testing.T, e *engine.Engine, args ...string) string {
	t.Helper()
	return ok(t, e, append([]string{"compose", "--file", "testdata/compose/compose.yaml"}, args...)...)
}

const libraryVolume = "library_db"

func inTrash(t *testing.T, e *engine.Engine) int {
	t.Helper()
	kept, err := filepath.Glob(e.Path(standalone, ".homelab-storage", "trash", "*"+libraryVolume+"*"))
	assert.NilError(t, err)
	return len(kept)
}

func TestComposeUpAndDown(t *testing.T) {
	e := withCompose(t, fresh(t, engine.Options{}, "STANDALONE=true"))
	compose(t, e, "up", "--detach")
	compose(t, e, "exec", "-T", "app", "sqlite3", "/data/app.db", "create table t(n); insert into t values(1)")
	compose(t, e, "up", "--detach") // unchanged: nothing may happen to the volume
	compose(t, e, "restart", "--timeout", "1")
	compose(t, e, "down")
	unmounted(t, e, libraryVolume)
	compose(t, e, "up", "--detach")
	assert.Equal(t, compose(t, e, "exec", "-T", "app", "sqlite3", "/data/app.db", "select n from t"), "1")
	assert.Equal(t, inTrash(t, e), 0)
	compose(t, e, "down", "--volumes")
	refused(t, e, "volume", "inspect", libraryVolume)
	assert.Equal(t, inTrash(t, e), 1)
}

// With changed options Compose asks "data will be lost?" and then sends Remove and Create (FACTS 1). It is not lost.
func TestComposeWithChangedOptionsLosesNoData(t *testing.T) {
	e := withCompose(t, fresh(t, engine.Options{}, "STANDALONE=true"))
	compose(t, e, "up", "--detach")
	compose(t, e, "exec", "-T", "app", "sh", "-c", "echo precious >/data/file")
	t.Setenv("MODE", "0700")
	compose(t, e, "up", "--detach", "--yes")
	assert.Equal(t, compose(t, e, "exec", "-T", "app", "stat", "-c", "%a", "/data"), "700")
	assert.Equal(t, compose(t, e, "exec", "-T", "app", "ls", "/data"), "")
	assert.Equal(t, inTrash(t, e), 1)
	compose(t, e, "down", "--volumes")
	assert.Equal(t, inTrash(t, e), 2)
}

// A compose file that asks for more than a directory of its own is refused, in words that Compose shows.
func TestComposeOutsideOfThePool(t *testing.T) {
	e := withCompose(t, fresh(t, engine.Options{}, "STANDALONE=true"))
	text := refused(t, e, "compose", "--file", "testdata/compose/hostile.yaml", "up", "--detach")
	assert.Assert(t, strings.Contains(text, `volume "hostile_db": the directory "../../etc" must not hold ".."`), text)
	refused(t, e, "volume", "inspect", "hostile_db")
}
