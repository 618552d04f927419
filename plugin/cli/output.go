package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// page writes for people, until the first error.
type page struct {
	to  io.Writer
	err error
}

func (p *page) line(format string, arguments ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.to, format+"\n", arguments...)
	}
}

// oneLine puts a list of problems into one cell.
var oneLine = strings.NewReplacer(":\n- ", ": ", "\n- ", "; ", "\n", "; ") //nolint:gochecknoglobals // a constant table

// table writes aligned columns; without rows it says so instead.
func (p *page) table(none, head string, rows [][]string) {
	if len(rows) == 0 {
		p.line("%s", none)
		return
	}
	columns := tabwriter.NewWriter(p.to, 0, 8, 2, ' ', 0)
	inner := &page{to: columns}
	inner.line("%s", strings.Join(strings.Fields(head), "\t"))
	for _, row := range rows {
		inner.line("%s", oneLine.Replace(strings.Join(row, "\t")))
	}
	p.err = errors.Join(p.err, inner.err, columns.Flush())
}

// print writes facts in the format that was asked for.
func (s *session) print(facts any, forPeople func(*page)) error {
	switch s.format {
	case "json":
		encoder := json.NewEncoder(s.options.Out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(facts)
	case "table":
		p := &page{to: s.options.Out}
		forPeople(p)
		return p.err
	}
	return usageError{fmt.Errorf("--format %q is unknown; the formats are table and json", s.format)}
}

// done says what a command did.
func (s *session) done(format string, arguments ...any) error {
	_, err := fmt.Fprintf(s.options.Out, format+"\n", arguments...)
	return err
}

// tell is done for those who have no use for its error.
func (s *session) tell(format string, arguments ...any) { _ = s.done(format, arguments...) }

// moment is a time for people.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// dash stands for an empty text in a table.
func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// counted is a number with its noun.
func counted(number int, noun string) string {
	if number == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", number, noun)
}
