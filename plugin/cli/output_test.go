package cli

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// A list of problems stays in its row.
func TestTableKeepsARowOnOneLine(t *testing.T) {
	var text strings.Builder
	p := &page{to: &text}
	p.table("none", "NAME PROBLEM", [][]string{{"nas", "2 problems:\n- the user is empty\n- the password is empty"}, {"two", "a\nb"}})
	assert.NilError(t, p.err)
	assert.Equal(t, text.String(), "NAME  PROBLEM\nnas   2 problems: the user is empty; the password is empty\ntwo   a; b\n")
}
