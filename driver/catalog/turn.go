package catalog

import (
	"context"
	"fmt"
	"maps"

	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// outcome is what an operation on the shared folder found and did. It is built by a thread that may be abandoned, and
// taken over only when that thread ended in time.
type outcome struct {
	events []event
	// whole replaces all that is known.
	whole *knowledge
	// problems and suspects are added to those known, or replace them after all was read.
	problems map[string]Problem
	suspects map[string]struct{}
	allRead  bool
	cleared  []string // files of the folder of records that are good again, gone or set aside
	// compared says that the folder was held against what is known; frozen is then the verdict.
	compared bool
	frozen   string
	err      error
	answer   Record // of Put
	lost     []Record
	written  int
}

// perform waits for the turn, runs work on the shared folder in a thread that may be abandoned, and takes its outcome
// over. An empty folder is the attached one; a given one is made when it is missing. The error is that of the folder, of
// the deadline, or of the work itself.
func (c *Catalog) perform(ctx context.Context, shared string, work func(context.Context, *session) error) (outcome, error) {
	select {
	case <-c.loaded:
	case <-ctx.Done():
		return outcome{}, context.Cause(ctx)
	}
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return outcome{}, fmt.Errorf("%w: earlier work on the volume catalog is not done yet: %w", mounter.ErrBusy, context.Cause(ctx))
	}
	defer func() { <-c.turn }()
	options := append([]durable.Option{durable.Make()}, c.options.Shared...)
	if shared == "" {
		options = c.options.Shared
		if shared = c.attached(); shared == "" {
			return outcome{}, detachedError()
		}
	}
	var done outcome
	err := c.options.Doer.Do(ctx, "catalog "+c.options.Name, func() error {
		done = c.run(ctx, shared, options, work)
		return nil
	})
	if err != nil {
		return outcome{}, fmt.Errorf("the volume catalog at %s does not answer: %w", shared, err)
	}
	c.accept(&done)
	return done, done.err
}

// run opens the folder for one operation. It is not kept open, so that a pool can be unmounted at any time, and so that a
// pool that went away is noticed.
func (c *Catalog) run(ctx context.Context, shared string, options []durable.Option,
	work func(context.Context, *session) error,
) outcome {
	session, err := c.open(shared, options)
	if err != nil {
		return outcome{err: err}
	}
	defer session.close()
	session.err = work(ctx, session)
	return session.outcome
}

// accept takes an outcome over: into the mirror, then into memory. A mirror that cannot be written is reported and written
// anew later; the shared folder has what it misses.
func (c *Catalog) accept(done *outcome) {
	next := c.known // changed only by whoever has the turn
	if done.whole != nil {
		next = done.whole
		for name, record := range next.records {
			c.same.record(&record)
			next.records[name] = record
		}
	}
	for _, change := range done.events {
		c.same.event(change)
	}
	c.mu.Lock()
	for _, change := range done.events {
		next.apply(change)
	}
	c.known = next
	if len(done.events) > 0 || done.whole != nil {
		c.sorted = nil
	}
	if done.compared {
		c.frozen = done.frozen
	}
	if done.allRead {
		c.problems, c.suspects = map[string]Problem{}, map[string]struct{}{}
	}
	for _, file := range done.cleared {
		delete(c.suspects, file)
		delete(c.problems, volumesDir+"/"+file)
	}
	maps.Copy(c.problems, done.problems)
	maps.Copy(c.suspects, done.suspects)
	c.mu.Unlock()
	c.record(done, next)
}

// record writes the mirror. Memory is only read here, and only whoever has the turn changes it. A failed append is tried
// again as a whole new journal; what fails then is reported, because the shared folder has what the mirror misses.
func (c *Catalog) record(done *outcome, next *knowledge) {
	if c.mirror == nil || len(done.events) == 0 && done.whole == nil {
		return
	}
	if done.whole != nil {
		c.mirror.stale = true
	}
	err := c.mirror.keep(done.events, next)
	if err != nil {
		err = c.mirror.keep(nil, next)
	}
	file := c.options.Mirror + "/" + journalFile
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		delete(c.problems, file)
		return
	}
	c.options.Log.WithError(err).WithField("file", file).Error("the catalog's mirror cannot be written")
	c.problems[file] = Problem{File: file, Text: fmt.Sprintf("this node's copy of the catalog cannot be written: %v; "+
		"make room there, else the newest volumes are unknown after a restart without the pool", err)}
}

func (c *Catalog) attached() string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.shared
}

func detachedError() error {
	return fmt.Errorf("%w: its pool cannot be used on this node now. Volumes are listed and mounted from this node's copy, and none is "+
		"created or removed until the pool is back; \"docker homelab status\" says what is wrong with it", ErrDetached)
}

// found is byID under the memory lock, for the threads that work on the shared folder.
func (c *Catalog) found(id string) (Record, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.known.byID(id)
}
