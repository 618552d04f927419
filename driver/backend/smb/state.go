package smb

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
)

// state is what is remembered of a share, by key.
type state struct {
	share    share // as it was last asked for
	used     time.Time
	replaced time.Time // when a newer mount took its place; zero when never
	err      error     // of the last look; nil when it was well
	when     time.Time // of the last look; zero before the first
	since    time.Time // since when it has not been well
	accepts  time.Time // since when its server accepts connections although it hangs
	note     string    // what a person should know although it is well
	tries    int       // of the background, since it was last well
	next     time.Time // when the background looks again; zero is never
}

func (s state) report() map[string]any {
	report := map[string]any{}
	for name, at := range map[string]time.Time{"checked": s.when, "since": s.since, "next_check": s.next} {
		if !at.IsZero() {
			report[name] = at.UTC().Format(time.RFC3339)
		}
	}
	if s.err == nil {
		delete(report, "next_check") // of a share that is well nobody waits for it
	} else {
		report["problem"] = s.err.Error()
	}
	if s.note != "" {
		report["note"] = s.note
	}
	return report
}

// Report tells of every share that was used since the start, or is being mounted because it was used before.
func (b *Backend) Report() []map[string]any {
	b.mu.Lock()
	defer b.mu.Unlock()
	reports := make([]map[string]any, 0, len(b.states))
	for key, known := range b.states {
		if known.share.device == "" {
			continue // mounted by an earlier process; nobody has asked for it yet
		}
		report := known.report()
		report["share"], report["mount"] = known.share.device, path.Join(b.root, key)
		reports = append(reports, report)
	}
	slices.SortFunc(reports, func(a, b map[string]any) int {
		return strings.Compare(fmt.Sprint(a["share"], a["mount"]), fmt.Sprint(b["share"], b["mount"]))
	})
	return reports
}

// note remembers how a share was. A change is logged once.
func (b *Backend) note(s share, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	known := b.states[s.key]
	before := known.err
	known.share, known.err, known.when = s, err, now
	known.share.creating = false // whoever looks later does so for a volume that exists
	if known.used.IsZero() && !s.background {
		known.used = now // it was forgotten meanwhile, for a Create that failed
	}
	switch {
	case err == nil:
		known.since, known.accepts, known.tries = time.Time{}, time.Time{}, 0
	case before == nil:
		known.since = now
	}
	if err != nil && s.background {
		known.tries++
	}
	known.next = known.plan(now)
	b.states[s.key] = known
	b.tell(s, before, err)
}

// tell logs that a share is away, or back.
func (b *Backend) tell(s share, before, err error) {
	log := b.log.WithFields(logrus.Fields{"share": s.device, "mount": s.key})
	switch {
	case before == nil && err != nil:
		log.WithError(err).Warn("a share cannot be used")
	case before != nil && err == nil:
		log.Info("a share can be used again")
	}
}

// forget drops what a failed Create saw of a share, unless a volume used it before: at once, or when its mount, which is still on the
// way, fails.
func (b *Backend) forget(s share) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if current := b.flights[s.key]; current != nil {
		current.forgotten = true
		return
	}
	b.forgetUnseen(s.key)
}

// forgetUnseen drops a share that nobody has looked at and nobody will look at. Its caller has mu.
func (b *Backend) forgetUnseen(key string) {
	if known := b.states[key]; known.when.IsZero() && known.next.IsZero() {
		delete(b.states, key)
	}
}

// drop forgets a share that is not mounted, as it was seen; not one that somebody has asked for since. Who asks meanwhile waits, so that
// a mount that is made then is remembered.
func (b *Backend) drop(key string, seen state) {
	if current := b.depart(key, seen); current != nil {
		b.memory.drop(key)
		b.land(key, current, nil)
	}
}

func (b *Backend) depart(key string, seen state) *flight {
	b.mu.Lock()
	defer b.mu.Unlock()
	known, ok := b.states[key]
	if !ok || b.flights[key] != nil || !known.used.Equal(seen.used) || !known.when.Equal(seen.when) {
		return nil
	}
	delete(b.states, key)
	return b.begin(key)
}

// known is what is remembered of a share.
func (b *Backend) known(key string) (state, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	found, ok := b.states[key]
	return found, ok
}

// touch marks a share as used now, unless it is the background that asks, and gives the flight that is in the way.
func (b *Backend) touch(s share) *flight {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !s.background {
		known := b.states[s.key]
		known.used = b.now()
		if known.share.key == "" && s.device != "" {
			known.share = s
			known.share.creating = false
		}
		b.states[s.key] = known
	}
	return b.flights[s.key]
}
