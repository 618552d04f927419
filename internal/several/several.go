// Package several reports several errors at once as a person wants to read them: one alone is its own text; more are a list,
// one line each. It is go-multierror with that format.
package several

import (
	"fmt"
	"strings"

	"github.com/hashicorp/go-multierror"
)

// Append adds errors to a list, which may be nil; errors that are nil are left out. As with multierror.Append, a list inside
// a list becomes a part of it. Give the result out with its ErrorOrNil.
func Append(list error, more ...error) *multierror.Error {
	all := multierror.Append(list, more...)
	all.ErrorFormat = format
	return all
}

func format(errs []error) string {
	if len(errs) == 1 {
		return errs[0].Error()
	}
	lines := make([]string, 0, len(errs)+1)
	lines = append(lines, fmt.Sprintf("%d problems:", len(errs)))
	for _, err := range errs {
		lines = append(lines, "- "+strings.ReplaceAll(err.Error(), "\n", "\n  "))
	}
	return strings.Join(lines, "\n")
}
