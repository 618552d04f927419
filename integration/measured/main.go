// Command measured prints the numbers that tests measured, out of what `go test -json` wrote, one line each:
//
//	go run ./integration/measured FILE
//
// A test that passes is silent otherwise. One that has a number to tell logs a line that begins with "measured: ", with t.Logf.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

// module is left out of the names of packages.
const module = "github.com/homelab-storage/homelab-storage/"

// event is what test2json (go doc test2json) writes for each line of a test.
type event struct{ Action, Package, Test, Output string }

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "measured:", err)
		os.Exit(1)
	}
}

func run(arguments []string, to io.Writer) (err error) {
	if len(arguments) != 1 {
		return fmt.Errorf("%d arguments were given; the only one is the file that go test -json wrote", len(arguments))
	}
	file, err := os.Open(arguments[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return show(file, to)
}

// show prints the lines of tests that are marked, with their package and test, in their order.
func show(from io.Reader, to io.Writer) error {
	// As testing writes it: where in the test it was logged, and the text.
	marked := regexp.MustCompile(`^\s*[^\s:]+\.go:\d+: (measured: .*\S)\s*$`)
	reader := bufio.NewReader(from)
	for {
		line, err := reader.ReadBytes('\n')
		var said event
		// What a compiler or a dying program says may stand in between, and is no event.
		if json.Unmarshal(line, &said) == nil && said.Action == "output" {
			if found := marked.FindStringSubmatch(said.Output); found != nil {
				if _, err := fmt.Fprintf(to, "%s %s: %s\n", strings.TrimPrefix(said.Package, module), said.Test, found[1]); err != nil {
					return err
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
