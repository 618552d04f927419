//go:build lab

package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// page is one of the guide's pages, of which tests run the commands.
type page struct{ text string }

func readPage(t *testing.T, name string) page {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	assert.NilError(t, err)
	return page{string(content)}
}

// blocks are the fenced blocks of a language below a heading, as many as the test knows what to do with.
func (p page) blocks(t *testing.T, heading, language string, want int) []string {
	t.Helper()
	var found []string
	var block *strings.Builder
	within := false
	for line := range strings.Lines(p.text) {
		word := strings.TrimSpace(line)
		switch {
		case block != nil && word == "```":
			found, block = append(found, block.String()), nil
		case block != nil:
			block.WriteString(strings.TrimPrefix(line, "   ")) // the indentation of a numbered step
		case strings.HasPrefix(line, "#"):
			within = strings.TrimSpace(strings.TrimLeft(line, "#")) == heading
		case within && word == "```"+language:
			block = &strings.Builder{}
		}
	}
	assert.Equal(t, len(found), want, "blocks of %s below %q", language, heading)
	return found
}
