package main

import (
	"fmt"
	"io"
	"strings"
)

// verdict is what became of a measurement.
type verdict string

// Verdicts.
const (
	passed      verdict = "passed"
	missed      verdict = "MISSED"
	information verdict = ""
	unmeasured  verdict = "NOT MEASURED"
)

// row is one line of the report.
type row struct {
	section, what, result, goal string
	verdict                     verdict
}

// report collects what was measured.
type report struct {
	machine  string // what it was measured on
	section  string
	rows     []row
	failures []error
}

func (r *report) add(what, result, goal string, verdict verdict) {
	r.rows = append(r.rows, row{r.section, what, result, goal, verdict})
}

// know adds a number that has no goal.
func (r *report) know(what string, result fmt.Stringer) {
	r.add(what, result.String(), "", information)
}

// judge adds a number with its goal.
func (r *report) judge(what, result, goal string, met bool) {
	found := missed
	if met {
		found = passed
	}
	r.add(what, result, goal, found)
}

// fail says that a section could not be measured, and why.
func (r *report) fail(err error) {
	r.add("(see below)", "", "", unmeasured)
	r.failures = append(r.failures, fmt.Errorf("%s: %w", r.section, err))
}

// count is the number of rows with a verdict.
func (r *report) count(wanted verdict) int {
	found := 0
	for _, row := range r.rows {
		if row.verdict == wanted {
			found++
		}
	}
	return found
}

// write prints the table, one block for each section, then what could not be measured.
func (r *report) write(out io.Writer) error {
	var text strings.Builder
	widths := [3]int{len("measured"), len("result"), len("goal")}
	for _, row := range r.rows {
		for at, cell := range []string{"  " + row.what, row.result, row.goal} {
			widths[at] = max(widths[at], len(cell))
		}
	}
	line := func(cells ...any) {
		format := fmt.Sprintf("%%-%ds  %%-%ds  %%-%ds  %%s", widths[0], widths[1], widths[2])
		text.WriteString(strings.TrimRight(fmt.Sprintf(format, cells...), " ") + "\n")
	}
	if r.machine != "" {
		text.WriteString(r.machine + "\n\n")
	}
	line("measured", "result", "goal", "")
	section := ""
	for _, row := range r.rows {
		if row.section != section {
			section = row.section
			text.WriteString(section + "\n")
		}
		line("  "+row.what, row.result, row.goal, row.verdict)
	}
	fmt.Fprintf(&text, "\n%d goals met, %d missed, %d sections not measured\n", r.count(passed), r.count(missed), r.count(unmeasured))
	for _, err := range r.failures {
		fmt.Fprintf(&text, "not measured: %v\n", err)
	}
	_, err := io.WriteString(out, text.String())
	return err
}
