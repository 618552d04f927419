//go:build integration

package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/engine"
	"github.com/homelab-storage/homelab-storage/integration/standin"
)

// standalone is where a standalone plugin keeps its pool, on the host.
const standalone = "/var/lib/homelab-storage/local/standalone"

// volume makes a volume that is named after the test and removed after it. Options are class=db unless given.
func volume(t *testing.T, e *engine.Engine, suffix string, options ...string) string {
	t.Helper()
	name := strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-")) + suffix
	if len(options) == 0 {
		options = []string{"class=db"}
	}
	args := []string{"volume", "create", "--driver", driver}
	for _, option := range options {
		args = append(args, "--opt", option)
	}
	cleanly(t, e, "volume", "rm", "--force", name)
	assert.Equal(t, ok(t, e, append(args, name)...), name)
	return name
}

// shell runs a script in a new container with the volume at /data and returns what it printed.
func shell(t *testing.T, e *engine.Engine, volume, script string) string {
	t.Helper()
	return ok(t, e, "run", "--rm", "--volume", volume+":/data", standin.Name, "sh", "-ec", script)
}

// background starts a container with the volume at /data and returns its name. It ends within a second when told to.
func background(t *testing.T, e *engine.Engine, volume, script string, flags ...string) string {
	t.Helper()
	name := volume + "-background"
	args := append([]string{"run", "--detach", "--stop-timeout", "1", "--name", name, "--volume", volume + ":/data"}, flags...)
	cleanly(t, e, "rm", "--force", name)
	ok(t, e, append(args, standin.Name, "sh", "-ec", script)...)
	return name
}

// sleeper is a container that only holds its volume.
func sleeper(t *testing.T, e *engine.Engine, volume string) string {
	t.Helper()
	return background(t, e, volume, "trap 'exit 0' TERM; sleep 600 & wait")
}

// rows counts a table that writer fills.
const rows = "sqlite3 /data/app.db 'select count(*) from t'"

// writer adds one row after the other, each in a transaction of its own, and prints the number of each committed one.
const writer = `sqlite3 /data/app.db 'create table if not exists t(n integer)'
n=0; while :; do n=$((n+1)); sqlite3 /data/app.db "insert into t values($n)"; echo $n; done`

// mountpoints are the places in the host's mount table where a volume is mounted, without the doubles that come of the
// engine binding propagated-mount on itself.
func mountpoints(t *testing.T, e *engine.Engine, volume string) []string {
	t.Helper()
	table, err := os.ReadFile(e.Path("/proc/1/mountinfo"))
	assert.NilError(t, err)
	seen := map[string]bool{}
	var found []string
	for line := range strings.Lines(string(table)) {
		target := strings.Fields(line)[4]
		if path.Base(target) == volume && path.Base(path.Dir(target)) == "propagated-mount" && !seen[target] {
			seen[target] = true
			found = append(found, target)
		}
	}
	return found
}

// unmounted waits until a volume is mounted nowhere: the engine's answer comes before the last of its work.
func unmounted(t *testing.T, e *engine.Engine, volume string) {
	t.Helper()
	eventually(t, func() error {
		if left := mountpoints(t, e, volume); len(left) > 0 {
			return fmt.Errorf("still mounted on %v", left)
		}
		return nil
	})
}

// eventually asks until there is no error, for half a minute.
func eventually(t *testing.T, ask func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			assert.NilError(t, errors.Join(ctx.Err(), err))
		}
	}
}

// running fails unless the container runs.
func running(t *testing.T, e *engine.Engine, container string) error {
	t.Helper()
	state := ok(t, e, "inspect", "--format", "{{.State.Status}}", container)
	if state != "running" {
		return fmt.Errorf("container %s is %s", container, state)
	}
	return nil
}
