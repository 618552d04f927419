package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"gotest.tools/v3/assert"
)

func silent() *logrus.Entry {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return logrus.NewEntry(log)
}

// The engine starts a plugin again at once: one whose folder it never sees must not end in a loop.
func TestEndsOnceAndNotTooSoon(t *testing.T) {
	for lived, pause := range map[time.Duration]time.Duration{0: aliveFor, 5 * time.Second: aliveFor - 5*time.Second, time.Hour: time.Second} {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			renewal := newRenewal(stop, t.TempDir(), silent())
			<-time.After(lived)
			assert.Assert(t, renewal.ask())
			assert.Assert(t, renewal.ask(), "again")
			<-time.After(pause - time.Millisecond)
			assert.NilError(t, ctx.Err())
			<-time.After(time.Millisecond)
			synctest.Wait()
			assert.ErrorIs(t, ctx.Err(), context.Canceled)
		})
	}
}

func TestEndsNoMoreWhenThatDoesNotHelp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := filepath.Join(t.TempDir(), "run")
		file := filepath.Join(runs, renewalFile)
		process := func() bool {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ends := newRenewal(stop, runs, silent()).ask()
			if ends {
				<-ctx.Done()
			}
			return ends
		}
		for range renewals {
			assert.Assert(t, process())
		}
		assert.Assert(t, !process())
		<-time.After(renewalPeriod)
		assert.Assert(t, process(), "an hour later")
		assert.NilError(t, os.WriteFile(file, []byte("x\n\n2999-01-01T00:00:00Z\n"), 0o600))
		assert.Assert(t, process(), "nonsense is not counted")
		assert.NilError(t, os.Remove(file))
		assert.NilError(t, os.Mkdir(file, 0o700))
		assert.Assert(t, !process(), "what cannot be counted is not done")
	})
}
