package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/plugin/process"
)

// wait is long enough for a lock that is about to be given back.
const wait = time.Second

func testLog() *logrus.Entry {
	log := logrus.New()
	log.SetLevel(logrus.ErrorLevel)
	return logrus.NewEntry(log)
}

// A second alias of the managed plugin has a socket of its own and the same folders.
func TestSecondPluginOfTheNodeEnds(t *testing.T) {
	options := folders(t)
	first := start(t, options)
	first.reach(t)
	second := options
	second.Socket = "q.sock"
	err := serve(t.Context(), second)
	assert.ErrorIs(t, err, errTaken)
	assert.Error(t, err, fmt.Sprintf("another homelab-storage on this node (process %d, socket p.sock) works with %s: two plugins must not share one state. "+
		"Disable one of them (docker plugin ls), or give this one folders of its own (serve --state-dir and --run-dir)", os.Getpid(), options.StateDir))
	_, err = first.client.Health(t.Context())
	assert.NilError(t, err)
	first.end(t)
	third := start(t, second)
	third.client = first.client
	third.end(t)
}

// An engine may start the next process a moment before the last one is gone.
func TestClaimWaitsForTheLastOneToEnd(t *testing.T) {
	folder := t.TempDir()
	release, err := claim(t.Context(), folder, "p.sock", wait, testLog())
	assert.NilError(t, err)
	timer := time.AfterFunc(300*time.Millisecond, release)
	defer timer.Stop()
	release, err = claim(t.Context(), folder, "p.sock", time.Minute, testLog())
	assert.NilError(t, err)
	release()
}

// hung is a state folder whose plugin was killed and still has the lock; end ends the call that hangs. alive is what a successor is told
// before the kill.
func hung(t *testing.T) (folder string, end func(), alive error) {
	t.Helper()
	folder = t.TempDir()
	dir, err := durable.Open(folder)
	assert.NilError(t, err)
	lock, err := dir.Lock(t.Context(), claimLock)
	assert.NilError(t, err)
	killed := exec.CommandContext(context.WithoutCancel(t.Context()), "sleep", "60")
	assert.NilError(t, killed.Start())
	was := process.Of(killed.Process.Pid)
	text, err := json.Marshal(holder{PID: was.PID, Started: was.Started, Socket: "p.sock"})
	assert.NilError(t, err)
	assert.NilError(t, dir.Write(claimFile, text))
	_, alive = claim(t.Context(), folder, "p.sock", wait, testLog())
	assert.NilError(t, killed.Process.Kill())
	poll.WaitOn(t, func(poll.LogT) poll.Result { // a kill is done when the killed has had its turn
		if !process.Over(was) {
			return poll.Continue("process %d still lives", was.PID)
		}
		return poll.Success()
	}, poll.WithTimeout(time.Minute), poll.WithDelay(time.Millisecond))
	return folder, func() {
		_ = killed.Wait()
		assert.NilError(t, lock.Unlock())
	}, alive
}

// A killed process with a thread in a call that hangs keeps the lock: its successor must start all the same, and be the only one, also when
// that call has ended.
func TestClaimDoesNotWaitForTheDead(t *testing.T) {
	folder, end, alive := hung(t)
	assert.ErrorIs(t, alive, errTaken, "it lives")
	release, err := claim(t.Context(), folder, "p.sock", wait, testLog())
	assert.NilError(t, err, "a zombie")
	_, err = claim(t.Context(), folder, "q.sock", wait, testLog())
	assert.ErrorIs(t, err, errTaken)
	assert.ErrorContains(t, err, fmt.Sprintf("process %d, socket p.sock", os.Getpid()))
	end()
	_, err = claim(t.Context(), folder, "q.sock", wait, testLog())
	assert.ErrorIs(t, err, errTaken, "the one before it is gone")
	release()
	release, err = claim(t.Context(), folder, "q.sock", wait, testLog())
	assert.NilError(t, err)
	release()
}

// Of two that start at the same time, one succeeds the dead.
func TestClaimHasOneSuccessor(t *testing.T) {
	folder, end, _ := hung(t)
	defer end()
	const several = 4
	results := make(chan error, several)
	for range several {
		go func() {
			_, err := claim(t.Context(), folder, "p.sock", 0, testLog())
			results <- err
		}()
	}
	started := 0
	for range several {
		err := <-results
		if err == nil {
			started++
			continue
		}
		assert.ErrorIs(t, err, errTaken)
	}
	assert.Equal(t, started, 1)
}

// One that was killed while it replaced the lock, and hangs, keeps nobody from starting.
func TestClaimDoesNotWaitForADeadSuccessor(t *testing.T) {
	folder, end, _ := hung(t)
	defer end()
	dir, err := durable.Open(folder)
	assert.NilError(t, err)
	turn, err := dir.Lock(t.Context(), claimTurn)
	assert.NilError(t, err)
	defer func() { assert.NilError(t, turn.Unlock()) }()
	_, err = claim(t.Context(), folder, "p.sock", 0, testLog())
	assert.NilError(t, err)
}
