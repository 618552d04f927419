//go:build lab

package cluster

import (
	"testing"

	"gotest.tools/v3/assert"
)

// TestLedger shows, without a lab, that the judge of the writers can say no.
func TestLedger(t *testing.T) {
	l := newLedger()
	for row, node := range map[string]string{"a-1": "node1", "a-2": "node1", "b-1": "node2", "c-1": "node1"} {
		l.add(row, node)
	}
	for _, test := range []struct{ name, said, want string }{
		{"all", "ok\na-1\na-2\nb-1\nb-2\nc-1", ""},
		{"one lost", "ok\na-1\nb-1\nc-1\n", "1 of 4 acknowledged rows are lost: a-2 of node1"},
		{"all lost", "ok\n", "4 of 4 acknowledged rows are lost: a-1 of node1, a-2 of node1, b-1 of node2, c-1 of node1"},
		{"corrupt", "row 3 missing from index\nok\na-1\na-2\nb-1\nc-1", "integrity_check: row 3 missing"},
		{"nothing read", "", "integrity_check: "},
		{"two writers at once", "ok\na-1\nb-1\na-2\nc-1", "row a-2 was written on node1 when another node had taken over"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := l.finds(l.acknowledged(), test.said); test.want == "" {
				assert.NilError(t, err)
			} else {
				assert.ErrorContains(t, err, test.want)
			}
		})
	}
}
