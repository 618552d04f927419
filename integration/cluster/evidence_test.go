//go:build lab && long

package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// evidence keeps what tells why a look did not find every row: whether another look does, what each machine sees of the database's files
// and what is on the disk. Rows that are there later were hidden from a reader, and are not lost.
func (n *nodes) evidence(t *testing.T, rows *ledger) {
	t.Helper()
	for range 3 {
		text, err := n.running(t).inside(t, looksAtRows)
		if err == nil {
			t.Logf("another look: %s", rows.history(rows.acknowledged(), text))
		} else {
			t.Logf("another look: %v", err)
		}
	}
	const folder = poolPath + "/served"
	for _, s := range n.sites {
		for _, script := range []string{
			"date +%T.%N; uptime; stat --format '%n %i %s bytes %y' " + folder + "/*; head -c 32 " + folder + "/rows.db-wal | od -A d -t x1; head -c 136 " + folder + "/rows.db-shm | od -A d -t x4",
			"for file in rows.db-wal rows.db-shm rows.db; do debugfs.ocfs2 -R \"stat /served/$file\" /dev/sda; done 2>&1",
			"mkdir -p /root/copy && cp " + folder + "/rows.db " + folder + "/rows.db-wal /root/copy && sqlite3 /root/copy/rows.db 'select count(*), max(rowid) from rows; select name from rows order by rowid desc limit 3'",
			"cat /sys/kernel/debug/ocfs2/*/fs_state; dmesg | tail -n 40",
		} {
			said, err := s.node.Output(t.Context(), script)
			t.Logf("%s: %s\n%s\n%v", s.node.Name(), script, said, err)
		}
	}
}

// history tells of each of the last writers, in the order of the database, what it acknowledged and what is there of it.
func (l *ledger) history(acknowledged map[string]string, said string) string {
	const last = 12
	type one struct {
		node              string
		there, lost       int
		first, until, gap string
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var order []string
	writers, there := map[string]*one{}, map[string]bool{}
	of := func(row string) *one {
		name := writerOf(row)
		if writers[name] == nil {
			writers[name] = &one{node: "(none acknowledged)"}
			order = append(order, name)
		}
		return writers[name]
	}
	for row := range strings.Lines(said) {
		if row = strings.TrimSpace(row); writerOf(row) != "" {
			of(row).there++
			there[row] = true
		}
	}
	for row, node := range acknowledged {
		w, at := of(row), l.at[row].Format("15:04:05.000")
		w.node = node
		if w.first == "" || at < w.first {
			w.first = at
		}
		if at > w.until {
			w.until = at
		}
		if !there[row] {
			w.lost++
			if w.gap == "" || at < w.gap {
				w.gap = at
			}
		}
	}
	var text strings.Builder
	for i, name := range order {
		if w := writers[name]; i >= len(order)-last || w.lost > 0 {
			fmt.Fprintf(&text, "\nwriter %d, %s, of %s: acknowledged from %s to %s; %d rows are there, %d are not, the first of them of %s",
				i+1, name, w.node, w.first, w.until, w.there, w.lost, dashed(w.gap))
		}
	}
	return text.String()
}

func dashed(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// TestHistory shows, without a lab, what is told of a loss.
func TestHistory(t *testing.T) {
	l := newLedger()
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for i, row := range []string{"a-1", "a-2", "b-1", "b-2", "b-3"} {
		l.add(row, "node"+row[:1])
		l.at[row] = noon.Add(time.Duration(i) * time.Second)
	}
	assert.Equal(t, l.history(l.acknowledged(), "ok\na-1\na-2\nb-1\nc-1\n"),
		"\nwriter 1, a, of nodea: acknowledged from 12:00:00.000 to 12:00:01.000; 2 rows are there, 0 are not, the first of them of -"+
			"\nwriter 2, b, of nodeb: acknowledged from 12:00:02.000 to 12:00:04.000; 1 rows are there, 2 are not, the first of them of 12:00:03.000"+
			"\nwriter 3, c, of (none acknowledged): acknowledged from  to ; 1 rows are there, 0 are not, the first of them of -")
}
