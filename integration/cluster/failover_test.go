//go:build lab

package cluster

import (
	"bufio"
	"context"
	"io"
	"strconv"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/lab/remote"
)

// ownShare is how long the plugin may take to hand a database over, when its pool answers again and Swarm has asked for it.
const ownShare = 5 * time.Second

// prober asks on one machine, again and again, for what another one has locked, and knows, by its machine's clock, when it was told:
// not from the moment on that the other one dies, until the cluster has recovered its locks.
type prober struct {
	mu   sync.Mutex
	told []time.Time
}

// probe begins to look at the file that a writer of another machine writes, until the test ends.
func probe(t *testing.T, s *site, file string) *prober {
	t.Helper()
	return ask(t, s, "stat "+file)
}

// ask begins to run a script of a machine again and again, until the test ends.
func ask(t *testing.T, s *site, script string) *prober {
	t.Helper()
	p := &prober{}
	ctx, cancel := context.WithCancel(t.Context())
	input, output := io.Pipe()
	var running sync.WaitGroup
	running.Go(func() {
		_, err := s.node.Run(ctx, remote.Command{
			Script: "while :; do { " + script + "; } >/dev/null && date +%s.%N; sleep 0.1; done", Stdout: output, Stderr: io.Discard,
		})
		_ = output.CloseWithError(err)
	})
	running.Go(func() {
		for lines := bufio.NewScanner(input); lines.Scan(); {
			if seconds, err := strconv.ParseFloat(lines.Text(), 64); err == nil {
				p.mu.Lock()
				p.told = append(p.told, time.Unix(0, int64(seconds*float64(time.Second))))
				p.mu.Unlock()
			}
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	p.begun(t)
	return p
}

// begun waits for the first answers.
func (p *prober) begun(t *testing.T) {
	t.Helper()
	for began := time.Now(); time.Since(began) < patience; pause(t, 50*time.Millisecond) {
		p.mu.Lock()
		answers := len(p.told)
		p.mu.Unlock()
		if answers > 2 {
			return
		}
	}
	t.Fatal("the file of the writer cannot be looked at")
}

func pause(t *testing.T, length time.Duration) {
	t.Helper()
	select {
	case <-time.After(length):
	case <-t.Context().Done():
	}
}

// stall is the longest time without an answer.
func (p *prober) stall() (from, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for at := 1; at < len(p.told); at++ {
		if p.told[at].Sub(p.told[at-1]) > until.Sub(from) {
			from, until = p.told[at-1], p.told[at]
		}
	}
	return from, until
}

// clock is a machine's own.
func (s *site) clock(t *testing.T) time.Time {
	t.Helper()
	nanoseconds, err := strconv.ParseInt(s.ok(t, "date +%s%N"), 10, 64)
	assert.NilError(t, err)
	return time.Unix(0, nanoseconds)
}

// recovered is when the kernel of a machine, by its clock, had last ended the recovery of a dead one's locks or journal, whichever it had.
func (s *site) recovered(t *testing.T) time.Time {
	t.Helper()
	last := s.ok(t, "dmesg --time-format iso | grep -E 'End recovery on domain|End replay journal' | tail --lines 1 | cut --delimiter ' ' --fields 1")
	if last == "" {
		return time.Time{}
	}
	at, err := time.Parse("2006-01-02T15:04:05,000000-07:00", last)
	assert.NilError(t, err)
	return at
}

// judge says what part of a failover, which began at a moment of the heir's clock, was the cluster's, Swarm's and the plugin's. The
// pool answers again when a survivor has recovered what the dead one had, and, when the dead one had the lock that the prober asked for,
// the prober is told.
func (p *prober) judge(t *testing.T, s, peer *site, since time.Time) {
	t.Helper()
	mounts := s.mounts(t, since)
	back := s.recovered(t)
	if at := peer.recovered(t).Add(s.clock(t).Sub(peer.clock(t))); at.After(back) {
		back = at
	}
	assert.Assert(t, back.After(since), "no survivor's kernel has recovered anything")
	if from, until := p.stall(); until.Sub(from) > ownShare && until.After(back) {
		back = until
	}
	share := sharesOf(mounts, back)
	t.Logf("measured: the pool answered again %.1f s after the power cut; %d Mounts, %d of them refused, had the plugin for %.1f s in all",
		back.Sub(since).Seconds(), len(mounts), len(mounts)-1, sharesOf(mounts, since).plugin.Seconds())
	t.Logf("measured: since the pool answered: %d Mounts refused; %.1f s from the first to the answer, %.1f s of them the plugin's",
		share.refused, share.whole.Seconds(), share.plugin.Seconds())
	assert.Assert(t, share.plugin < ownShare, "the plugin's own share of the failover is %s", share.plugin)
}
