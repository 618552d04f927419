//go:build lab

package cluster

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/lab"
	"github.com/homelab-storage/homelab-storage/integration/lab/remote"
)

// writesRows inserts rows for ever, each in a transaction of its own that waits for the disk, and says so in /acks/rows after each:
// such a row is acknowledged. No two rows of any two writers are the same.
const writesRows = `me=$(cat /proc/sys/kernel/random/uuid); row=0
sqlite3 -bail -cmd '.timeout 20000' /config/rows.db 'pragma journal_mode=wal; create table if not exists rows(name text primary key)' >/dev/null
while :; do row=$((row + 1)); echo "insert into rows values('$me-$row');"; echo ".print $me-$row"; sleep 0.2; done |
	sqlite3 -batch -bail -cmd '.timeout 20000' -cmd 'pragma synchronous=full' /config/rows.db >>/acks/rows`

// acks is the folder of a machine, in memory, where its writers acknowledge rows. It is lost with the power, as what a client
// was told is not: the ledger has it by then, or the row was never acknowledged.
const acks = "/run/acks"

// ledger has every row that was ever acknowledged on any machine.
type ledger struct {
	mu     sync.Mutex
	rows   map[string]string // row -> node
	latest time.Time
}

// follow begins to read what the writers of the machines acknowledge, until the test ends. There is none yet.
func follow(t *testing.T, sites []*site) *ledger {
	t.Helper()
	heal(t, sites...)
	each(t, sites, func(s *site) error {
		_, err := s.node.Output(t.Context(), "docker rm --force writer 2>/dev/null; rm -rf "+acks)
		return err
	})
	l := &ledger{rows: map[string]string{}}
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
		l.rows[row], l.latest = node, time.Now()
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

// check reads the database on a machine that has its pool and finds every acknowledged row. Call it when no writer runs.
func (l *ledger) check(t *testing.T, s *site, subdir string) {
	t.Helper()
	text := s.ok(t, fmt.Sprintf("sqlite3 -bail %s/%s/rows.db 'pragma integrity_check; select name from rows'", poolPath, subdir))
	lines := strings.Split(strings.TrimSpace(text), "\n")
	assert.Equal(t, lines[0], "ok", "integrity_check")
	there := map[string]bool{}
	for _, row := range lines[1:] {
		there[row] = true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var lost []string
	for row, node := range l.rows {
		if !there[row] {
			lost = append(lost, row+" of "+node)
		}
	}
	slices.Sort(lost)
	assert.DeepEqual(t, lost, []string(nil))
	t.Logf("%d rows acknowledged, %d in the database, none lost", len(l.rows), len(there))
}
