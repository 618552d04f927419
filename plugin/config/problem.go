package config

import (
	"fmt"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/homelab-storage/homelab-storage/internal/several"
)

// Problem is one thing that is wrong with the configuration.
type Problem struct {
	File         string // the file, or the word "setting"
	Line, Column int    // from 1; 0 when the problem has no place
	Key          string // for example pools[0].path
	Value        string // as written; empty when there is none, or when it is a secret
	Text         string // what is wrong and what to do
}

// Error is the whole problem on one line.
func (p Problem) Error() string {
	var text strings.Builder
	text.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&text, ":%d:%d", p.Line, p.Column)
	}
	if p.File == settingWord {
		fmt.Fprintf(&text, " %s", p.Key)
	} else if p.Key != "" {
		fmt.Fprintf(&text, ": %s", p.Key)
	}
	if p.Value != "" {
		fmt.Fprintf(&text, ": %q", p.Value)
	} else {
		text.WriteString(":")
	}
	text.WriteString(" " + p.Text)
	return text.String()
}

// settingWord stands for the file in a problem of a setting.
const settingWord = "setting"

// joined makes one error of all problems; nil when there are none.
func joined(problems []Problem) error {
	var all *multierror.Error
	for _, problem := range problems {
		all = several.Append(all, problem)
	}
	return all.ErrorOrNil()
}
