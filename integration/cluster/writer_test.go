//go:build lab

package cluster

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/lab"
	"github.com/homelab-storage/homelab-storage/integration/lab/remote"
)

// makesTable is what a writer begins with.
const makesTable = `sqlite3 -bail -cmd '.timeout 20000' /config/rows.db 'pragma journal_mode=wal; create table if not exists rows(name text primary key)' >/dev/null
`

// writesRows inserts rows for ever, each in a transaction of its own that waits for the disk, and says so in /acks/rows after each:
// such a row is acknowledged. No two rows of any two writers are the same. With $rows it ends after so many, and makes no pauses.
const writesRows = makesTable + `me=$(cat /proc/sys/kernel/random/uuid); row=0
while [ "$row" != "$rows" ]; do row=$((row + 1)); echo "insert into rows values('$me-$row');"; echo ".print $me-$row"; [ "$rows" ] || sleep 0.2; done |
	sqlite3 -batch -bail -cmd '.timeout 20000' -cmd 'pragma synchronous=full' /config/rows.db >>/acks/rows`

// acks is the folder of a machine, in memory, where its writers acknowledge rows. It is lost with the power, as what a client
// was told is not: the ledger has it by then, or the row was never acknowledged.
const acks = "/run/acks"

// ledger has every row that was ever acknowledged on any machine.
type ledger struct {
	mu     sync.Mutex
	rows   map[string]string // row -> node
	at     map[string]time.Time
	latest time.Time
}

func newLedger() *ledger { return &ledger{rows: map[string]string{}, at: map[string]time.Time{}} }

// follow begins to read what the writers of the machines acknowledge, until the test ends. There is none yet.
func follow(t *testing.T, sites []*site) *ledger {
	t.Helper()
	heal(t, sites...)
	each(t, sites, func(s *site) error {
		_, err := s.node.Output(t.Context(), "docker rm --force writer 2>/dev/null; rm -rf "+acks)
		return err
	})
	l := newLedger()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, s := range sites {
		running.Go(func() { l.read(ctx, s.node) })
	}
	t.Cleanup(func() { cancel(); running.Wait() })
	return l
}

// read follows one machine through its power cuts.
func (l *ledger) read(ctx context.Context, node *lab.Node) {
	for ctx.Err() == nil {
		input, output := io.Pipe()
		go func() {
			_, err := node.Run(ctx, remote.Command{
				Script: "mkdir -p " + acks + " && touch " + acks + "/rows && exec tail -n +1 -f " + acks + "/rows", Stdout: output, Stderr: io.Discard,
			})
			_ = output.CloseWithError(err)
		}()
		for lines := bufio.NewScanner(input); lines.Scan(); {
			l.add(lines.Text(), node.Name())
		}
		_ = input.Close()
		select {
		case <-time.After(time.Second): // the machine is off
		case <-ctx.Done():
		}
	}
}

func (l *ledger) add(row, node string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.rows[row]; !known {
		l.latest = time.Now()
		l.rows[row], l.at[row] = node, l.latest
	}
}

// count is the number of rows that one machine acknowledged; of all for "".
func (l *ledger) count(node string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := 0
	for _, where := range l.rows {
		if node == "" || where == node {
			count++
		}
	}
	return count
}

// grows waits until a machine has acknowledged some rows more, and says when the last of them was read.
func (l *ledger) grows(t *testing.T, node string, by int) time.Time {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for want := l.count(node) + by; l.count(node) < want; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("node %q acknowledged %d rows, not %d within %s", node, l.count(node), want, patience)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.latest
}

// writerOf is the one that a row is of.
func writerOf(row string) string { return row[:max(0, strings.LastIndexByte(row, '-'))] }

// writers are those that have acknowledged a row.
func (l *ledger) writers() map[string]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := map[string]bool{}
	for row := range l.rows {
		known[writerOf(row)] = true
	}
	return known
}

// succeeds waits for a row of a writer that is not among those known, and says when the last row was read then.
func (l *ledger) succeeds(t *testing.T, known map[string]bool) time.Time {
	t.Helper()
	for began := time.Now(); time.Since(began) < patience; pause(t, 50*time.Millisecond) {
		if len(l.writers()) > len(known) {
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.latest
		}
	}
	t.Fatalf("no other writer than the %d known ones acknowledged a row within %s", len(known), patience)
	return time.Time{}
}

// inTurns says that rows, in the order in which they were written, are of one node after another: no writer wrote again when another
// node had taken over. Two containers of one node may write by turns. Of a writer that never acknowledged a row the node is unknown.
func inTurns(rows []string, nodes map[string]string) error {
	turn, last := 0, ""
	turns := map[string]int{} // by writer
	for _, row := range rows {
		writer := writerOf(row)
		node, known := nodes[writer]
		if !known {
			continue
		}
		if node != last {
			turn, last = turn+1, node
		}
		if had, wrote := turns[writer]; wrote && had != turn {
			return fmt.Errorf("row %s was written on %s when another node had taken over", row, node)
		}
		turns[writer] = turn
	}
	return nil
}

// nodes are where the writers of rows ran.
func (l *ledger) nodes() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	nodes := map[string]string{}
	for row, node := range l.rows {
		nodes[writerOf(row)] = node
	}
	return nodes
}

// acknowledged are the rows that were acknowledged until now, each with its node.
func (l *ledger) acknowledged() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.rows)
}

// readsRows asks a database for its health and then for its rows, for [ledger.finds].
const readsRows = "pragma integrity_check; select name from rows order by rowid"

// finds looks for acknowledged rows in what databases said to readsRows, and for one writer after another in each.
func (l *ledger) finds(acknowledged map[string]string, said ...string) error {
	there := map[string]bool{}
	for _, text := range said {
		lines := strings.Split(strings.TrimSpace(text), "\n")
		if lines[0] != "ok" {
			return fmt.Errorf("integrity_check: %.1000s", text)
		}
		if err := inTurns(lines[1:], l.nodes()); err != nil {
			return err
		}
		for _, row := range lines[1:] {
			there[row] = true
		}
	}
	var lost []string
	for row, node := range acknowledged {
		if !there[row] {
			lost = append(lost, row+" of "+node)
		}
	}
	if slices.Sort(lost); len(lost) > 0 {
		return fmt.Errorf("%d of %d acknowledged rows are lost: %s", len(lost), len(acknowledged), strings.Join(lost, ", "))
	}
	return nil
}

// check reads the database on a machine that has its pool, and finds every acknowledged row, and one writer after another. Call it
// when no writer runs.
func (l *ledger) check(t *testing.T, s *site, subdir string) {
	t.Helper()
	l.checkAll(t, s, []string{subdir})
}

// checkAll is check for writers of several databases.
func (l *ledger) checkAll(t *testing.T, s *site, subdirs []string) {
	t.Helper()
	var said []string
	for _, subdir := range subdirs {
		said = append(said, s.ok(t, fmt.Sprintf("sqlite3 -bail %s/%s/rows.db %s", poolPath, subdir, quote(readsRows))))
	}
	acknowledged := l.acknowledged()
	assert.NilError(t, l.finds(acknowledged, said...))
	t.Logf("measured: %d rows acknowledged, none lost", len(acknowledged))
}
