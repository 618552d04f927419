package backendtest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

// deadlinesAreKept holds every operation of the kernel in turn.
func deadlinesAreKept(t *testing.T, b Bench) {
	volume := b.created(t)
	held := 0
	for _, op := range []mountertest.Op{
		mountertest.OpTable, mountertest.OpFilesystem, mountertest.OpDo, mountertest.OpMountShare, mountertest.OpRun,
		mountertest.OpResolve, mountertest.OpCluster,
	} {
		hold := b.Kernel.Hold(op, "")
		for _, call := range []func(context.Context) error{
			func(ctx context.Context) error { _, err := b.Backend.Stage(ctx, volume); return err },
			func(ctx context.Context) error { _, err := b.Backend.Create(ctx, volume, true); return err },
			func(ctx context.Context) error { return b.Backend.Remove(ctx, volume) },
		} {
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			began := time.Now()
			err := call(ctx)
			cancel()
			assert.Assert(t, time.Since(began) < slack, "%s: %s", op, time.Since(began))
			if err != nil {
				held++
				readable(t, err)
			}
		}
		b.Kernel.Release(hold)
	}
	if !b.Request.Location.Memory {
		assert.Assert(t, held > 0, "nothing was held")
	}
}

func statusNeverWaits(t *testing.T, b Bench) {
	volume := b.created(t)
	before := b.Kernel.Calls()
	status := b.Backend.Status(volume)
	assert.Assert(t, len(status) > 0)
	_, err := json.Marshal(status)
	assert.NilError(t, err)
	if reporter, ok := b.Backend.(backend.Reporter); ok {
		_, err := json.Marshal(reporter.Report())
		assert.NilError(t, err)
	}
	assert.Equal(t, b.Kernel.Calls(), before)
}

func nothingShowsASecret(t *testing.T, b Bench) {
	plan, err := b.Backend.Plan(t.Context(), b.Request)
	assert.NilError(t, err)
	volume := b.created(t)
	staged, err := b.Backend.Stage(t.Context(), volume)
	assert.NilError(t, err)
	for _, value := range []any{b.Request, plan, volume, staged, b.Backend.Status(volume), b.Kernel.Actions()} {
		encoded, err := json.Marshal(value)
		assert.NilError(t, err)
		for _, text := range []string{string(encoded), fmt.Sprintf("%v", value), fmt.Sprintf("%+v", value), fmt.Sprintf("%#v", value)} {
			assert.Assert(t, !strings.Contains(text, Canary), text)
		}
	}
}

func concurrentCalls(t *testing.T, b Bench) {
	volume := b.created(t)
	results := make(chan error)
	for range 20 {
		go func() { _, err := b.Backend.Stage(t.Context(), volume); results <- err }()
	}
	for range 20 {
		assert.Check(t, <-results)
	}
}

// readable holds an error against the rule: a text for a person on one line per problem, without Go's own words or a secret.
func readable(t *testing.T, err error) {
	t.Helper()
	assert.Assert(t, err != nil)
	for _, bad := range []string{Canary, "%!", "<nil>", "goroutine", "openat", "unlinkat"} {
		assert.Assert(t, !strings.Contains(err.Error(), bad), "%q is in %q", bad, err)
	}
	assert.Assert(t, len(err.Error()) > 10, "%q", err)
}
