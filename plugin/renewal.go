package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/internal/tally"
)

const (
	// aliveFor is how long the process lives at least before it asks to be started anew: the engine starts it at once, and disables one
	// that dies again within seconds (FACTS 1).
	aliveFor = 10 * time.Second
	// renewals is how often that helps at most in renewalPeriod: what it cannot repair is the host's, and a process that ends again and again
	// does nothing for the volumes that work.
	renewals      = 3
	renewalPeriod = time.Hour
	renewalFile   = "unseen"
)

// renewal ends the process for the engine to start it anew.
type renewal struct {
	stop  context.CancelFunc
	runs  string // the folder that keeps when it was done, across processes and not across boots
	log   *logrus.Entry
	began time.Time

	mu   sync.Mutex
	ends bool
	said string // why it does not end, as the log has it
}

func newRenewal(stop context.CancelFunc, runs string, log *logrus.Entry) *renewal {
	return &renewal{stop: stop, runs: runs, log: log, began: time.Now()}
}

// ask ends the process, once the call that found the reason was answered. The error says why that is not done yet, and what to do. It may
// be called often, and by several at once.
func (r *renewal) ask() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ends {
		return nil
	}
	if never := r.record(); never != nil {
		if never.Error() != r.said {
			r.log.WithError(never).Error("the engine does not see what is mounted")
			r.said = never.Error()
		}
		return never
	}
	r.ends = true
	pause := max(time.Second, aliveFor-time.Since(r.began))
	r.log.WithField("in", pause.String()).Error("the engine does not see what is mounted: ending, to be started again with a folder that it sees")
	time.AfterFunc(pause, r.stop)
	return nil
}

// record counts one more, unless that would be one too many, or cannot be counted.
func (r *renewal) record() error {
	lately, err := tally.Take(r.runs, renewalFile, renewals, renewalPeriod)
	switch {
	case err != nil:
		return fmt.Errorf("start the plugin anew (docker plugin disable -f, then enable); it does not do that by itself, since how often it did cannot be recorded: %w", err)
	case lately >= renewals:
		return fmt.Errorf("the plugin has started anew %d times within the last hour, and that has not helped: %s", lately, driver.UnseenRepair)
	}
	return nil
}
