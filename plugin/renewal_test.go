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
	logrustest "github.com/sirupsen/logrus/hooks/test"
	"gotest.tools/v3/assert"
)

func silent() *logrus.Entry {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return logrus.NewEntry(log)
}

// What kept it from starting anew may be over later: it is asked again, and the log says the same thing once.
func TestEndsWhenItMayAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		log, said := logrustest.NewNullLogger()
		runs := t.TempDir()
		renewal := newRenewal(stop, runs, logrus.NewEntry(log))
		file := filepath.Join(runs, renewalFile)
		assert.NilError(t, os.Mkdir(file, 0o700))
		for range 2 {
			assert.ErrorContains(t, renewal.ask(), "how often it did cannot be recorded")
		}
		assert.Equal(t, len(said.AllEntries()), 1)
		assert.NilError(t, os.Remove(file))
		assert.NilError(t, renewal.ask())
		<-ctx.Done()
	})
}

// The engine starts a plugin again at once: one whose folder it never sees must not end in a loop.
func TestEndsOnceAndNotTooSoon(t *testing.T) {
	for lived, pause := range map[time.Duration]time.Duration{0: aliveFor, 5 * time.Second: aliveFor - 5*time.Second, time.Hour: time.Second} {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			renewal := newRenewal(stop, t.TempDir(), silent())
			<-time.After(lived)
			assert.NilError(t, renewal.ask())
			assert.NilError(t, renewal.ask(), "again")
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
		process := func() error {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			never := newRenewal(stop, runs, silent()).ask()
			if never == nil {
				<-ctx.Done()
			}
			return never
		}
		for range renewals {
			assert.NilError(t, process())
		}
		assert.ErrorContains(t, process(), "the plugin has started anew 3 times within the last hour, and that has not helped: see that neither docker.service")
		<-time.After(renewalPeriod)
		assert.NilError(t, process(), "an hour later")
		assert.NilError(t, os.Remove(file))
		assert.NilError(t, os.Mkdir(file, 0o700))
		assert.ErrorContains(t, process(), "how often it did cannot be recorded")
	})
}
