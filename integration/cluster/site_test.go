//go:build lab

package cluster

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/lab"
)

const (
	// poolPath is where the host mounts the OCFS2 file system.
	poolPath = "/mnt/iscsi/media-apps"
	// password has nothing special in it: driver local, which some tests begin with, could not be given another one.
	password = "media-secret"
	// patience is for what happens by itself. An emulated machine beside another one is slow.
	patience = 6 * time.Minute
	// answerLimit is how long Create and Mount may take (DESIGN D10).
	answerLimit = 25 * time.Second
	// threshold of o2cb, in heartbeats of two seconds: a node whose disk is away fences itself after (61-1)*2 s = 120 s, and
	// not while a test looks at what the plugin says meanwhile.
	threshold = 61
)

// site is a machine with the plugin installed and its pool formatted, where a user is after the guide's first page.
type site struct {
	lab  *lab.Lab
	node *lab.Node
	// uuids are the file systems' own, by the name of their LUN.
	uuids map[string]string
	// threshold of o2cb on this machine.
	threshold int
}

// ok runs a script that must succeed and returns what it printed.
func (s *site) ok(t *testing.T, script string) string {
	t.Helper()
	output, err := s.node.Output(t.Context(), script)
	assert.NilError(t, err)
	return output
}

// refused runs a script that must fail and returns everything it printed, and how long it took.
func (s *site) refused(t *testing.T, script string) (string, time.Duration) {
	t.Helper()
	start := time.Now()
	result, err := s.node.Exec(t.Context(), script)
	assert.NilError(t, err)
	assert.Assert(t, result.Code != 0, "%s was not refused:\n%s%s", script, result.Stdout, result.Stderr)
	return strings.TrimSpace(result.Stdout + result.Stderr), time.Since(start)
}

// eventually runs a script until it succeeds and returns what it printed then.
func (s *site) eventually(t *testing.T, script string) string {
	t.Helper()
	return s.until(t, script, func(ctx context.Context) (lab.Result, error) { return s.node.Exec(ctx, script) })
}

// until tries something again and again. It pauses twice as long as an attempt took, so that on an emulated machine enough is left
// for what is waited for.
func (s *site) until(t *testing.T, what string, attempt func(ctx context.Context) (lab.Result, error)) string {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, fmt.Errorf("not within %s", patience))
	defer cancel()
	var last lab.Result
	for {
		start := time.Now()
		result, err := attempt(ctx)
		switch {
		case err == nil && result.Code == 0:
			return strings.TrimSpace(result.Stdout)
		case err == nil:
			last = result
		case ctx.Err() == nil:
			last = lab.Result{Stderr: err.Error()}
		}
		select {
		case <-time.After(max(200*time.Millisecond, 2*time.Since(start))):
		case <-ctx.Done():
			t.Fatalf("%s: %v; the last time it said:\n%s%s", what, context.Cause(ctx), last.Stdout, last.Stderr)
		}
	}
}

// step logs how long something took.
func step(t *testing.T, name string, do func()) {
	t.Helper()
	start := time.Now()
	do()
	t.Logf("%-44s %6.1f s", name, time.Since(start).Seconds())
}

// measure is step for a time that scripts/test shows also when the test passes, as every line that begins so.
func measure(t *testing.T, name string, do func()) {
	t.Helper()
	start := time.Now()
	do()
	t.Logf("measured: %-44s %6.1f s", name, time.Since(start).Seconds())
}

// run is the command line of a container with a volume at /config, up to what runs in it.
func run(volume string) string {
	return "docker run --rm --network none --volume " + volume + ":/config " + lab.StandIn
}
