package lab

import (
	"sync"
	"testing"

	"github.com/sirupsen/logrus"
)

// Shared is one lab for many tests, started at first use. The package documentation shows how.
type Shared struct {
	options Options
	mutex   sync.Mutex // guards the fields below
	lab     *Lab
	err     error
}

// NewShared describes the lab to start.
func NewShared(options Options) *Shared { return &Shared{options: options} }

// Lab returns the lab, healed. When tb fails, the logs are kept under its name.
func (s *Shared) Lab(tb testing.TB) *Lab {
	tb.Helper()
	Require(tb)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.lab == nil && s.err == nil {
		if s.options.Log == nil {
			s.options.Log = progress()
		}
		s.lab, s.err = Start(tb.Context(), s.options)
	}
	if s.err != nil {
		tb.Fatalf("the shared lab did not start: %v", s.err)
	}
	keepLogsOf(tb, s.lab)
	if err := s.lab.Heal(tb.Context()); err != nil {
		tb.Fatalf("heal the shared lab: %v", err)
	}
	return s.lab
}

// Stop stops the lab if it was started. Call it in TestMain, after the tests.
func (s *Shared) Stop() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.lab == nil {
		return
	}
	if err := s.lab.Stop(); err != nil {
		progress().WithError(err).Error("the shared lab did not stop in order")
	}
}

// ForTest starts a lab for one test and stops it at its end; logs of a failed test are kept.
func ForTest(tb testing.TB, options Options) *Lab {
	tb.Helper()
	Require(tb)
	if options.Log == nil {
		options.Log = progress()
	}
	l, err := Start(tb.Context(), options)
	if err != nil {
		tb.Fatalf("start the lab: %v", err)
	}
	tb.Cleanup(func() {
		if err := l.Stop(); err != nil {
			tb.Errorf("stop the lab: %v", err)
		}
	})
	keepLogsOf(tb, l) // runs before Stop
	return l
}

func keepLogsOf(tb testing.TB, l *Lab) {
	tb.Helper()
	tb.Cleanup(func() {
		if !tb.Failed() {
			return
		}
		if err := l.KeepLogs(tb.Name()); err != nil {
			tb.Errorf("keep the lab's logs: %v", err)
		}
	})
}

// progress logs to standard error: building an image outlasts the patience of a silent terminal.
func progress() *logrus.Entry { return logrus.NewEntry(logrus.New()) }
