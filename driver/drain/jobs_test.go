package drain_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/drain"
)

// A drain goes on without its caller, is joined by the next one, and keeps an Undrain off.
func TestOneDrainAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		gate := make(chan struct{})
		b.containers.OnStop = func(string) { <-gate }
		caller, gone := context.WithCancel(t.Context())
		first, err := b.Drain(caller, pool, drain.Request{Stop: true})
		assert.NilError(t, err)
		gone()
		assert.DeepEqual(t, first, drain.Report{Lines: []string{"No volume of pool media-apps is mounted on this node any more, until the end."}})
		_, err = b.Undrain(t.Context(), pool)
		assert.ErrorContains(t, err, "pool media-apps is being drained now; wait until that has ended")
		joined, err := b.Drain(t.Context(), pool, drain.Request{})
		assert.NilError(t, err)
		assert.DeepEqual(t, joined, first)
		began := time.Now()
		same, err := b.Progress(t.Context(), pool, len(first.Lines))
		assert.NilError(t, err)
		assert.DeepEqual(t, same, first)
		assert.Equal(t, time.Since(began), 15*time.Second, "there was no news")
		close(gate)
		text, err := b.follow(t, same, nil)
		assert.NilError(t, err)
		assert.Assert(t, strings.HasSuffix(text, "\nStarted radarr."), text)
		assert.Equal(t, strings.Count(strings.Join(b.pools.Calls(), ","), "lower"), 1)
	})
}

// The background leaves alone what is drained still, and what a drain or its end is at.
func TestFinishLeavesOthersTheirWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		_, err := b.drain(t, drain.Request{Stop: true, Hold: true})
		assert.NilError(t, err)
		b.Finish(t.Context())
		assert.Equal(t, len(b.containers.Started), 0)
		gate := make(chan struct{})
		b.containers.OnStart = func(string) { <-gate }
		_, err = b.Undrain(t.Context(), pool)
		assert.NilError(t, err)
		synctest.Wait() // it waits for its container
		b.Finish(t.Context())
		close(gate)
		_, err = b.follow(t, drain.Report{}, nil)
		assert.NilError(t, err)
		assert.DeepEqual(t, b.containers.Started, []string{"c1"})
	})
}

// A drain that begins while the background starts what the one before it stopped is not forgotten at the end of that: a restarted plugin
// would mount a pool that is being checked.
func TestFinishForgetsNoDrainThatBeganMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.containers.Problems = map[string]error{"start": errors.New("it does not start")}
		_, err := b.drain(t, drain.Request{Stop: true})
		assert.ErrorContains(t, err, "it does not start")
		b.containers.Problems = nil
		gate, finished := make(chan struct{}), make(chan struct{})
		b.containers.OnStart = func(string) { <-gate }
		go func() {
			defer close(finished)
			b.Finish(t.Context())
		}()
		synctest.Wait()
		_, err = b.drain(t, drain.Request{Hold: true})
		assert.NilError(t, err)
		close(gate)
		<-finished
		assert.Assert(t, b.Drained(pool))
		b.containers.OnStart = nil
		text, err := b.undrain(t)
		assert.NilError(t, err)
		assert.Equal(t, text, "Pool media-apps is mounted and well.\nStarted radarr.")
	})
}

func TestProgressOfNothing(t *testing.T) {
	b := newBench(t)
	_, err := b.Progress(t.Context(), pool, 0)
	assert.Error(t, err, "nothing is known of a drain of pool media-apps: the plugin was restarted; run the command again")
}

// What the state folder says is not trusted, and forgets nothing.
func TestDrainWithADamagedState(t *testing.T) {
	b := newBench(t)
	for _, text := range []string{"{", `{"version":1,"pool":"other"}`, `{"version":2,"pool":"media-apps"}`} {
		assert.NilError(t, os.WriteFile(filepath.Join(b.options.State, pool+".json"), []byte(text), 0o600))
		b.log.Reset()
		b.start(t)
		assert.Assert(t, strings.Contains(b.log.String(), "the drained pools could not be read"))
		_, err := b.undrain(t)
		assert.ErrorContains(t, err, "the state of the drained pool media-apps (media-apps.json) cannot be read")
		_, err = b.drain(t, drain.Request{Stop: true})
		assert.ErrorContains(t, err, "cannot be read")
		assert.Equal(t, len(b.containers.Stopped), 0)
	}
}

// What cannot be remembered is not stopped.
func TestDrainRemembersBeforeItStops(t *testing.T) {
	b := newBench(t)
	b.pools.OnRefuse = func() { assert.Check(t, os.RemoveAll(b.options.State)) }
	_, err := b.drain(t, drain.Request{Stop: true})
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.Equal(t, len(b.containers.Stopped), 0)
}

func TestNewNeedsItsFolder(t *testing.T) {
	b := newBench(t)
	options := b.options
	options.State = filepath.Join(t.TempDir(), "file")
	assert.NilError(t, os.WriteFile(options.State, nil, 0o600))
	_, err := drain.New(t.Context(), options)
	assert.ErrorContains(t, err, "opening the state of drained pools: ")
}
