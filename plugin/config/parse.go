package config

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

// parse reads one file. shared says that it is the part that all nodes share, which names no pools.
func parse(file string, text []byte, shared bool) (layer, []Problem) {
	r := &reader{file: file}
	root := r.document(text)
	var read layer
	if root != nil {
		fill(r, root, "", fileFields(), &read)
	}
	if shared && len(read.pools) > 0 {
		r.problems = append(r.problems, Problem{
			File: file, Line: read.pools[0].at.line, Column: read.pools[0].at.column, Key: "pools",
			Text: "belong to each node's own configuration, because this file lies on one of them: move them there",
		})
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return read, r.problems
}

// document gives the root of the one document; nil when there is nothing to read, with or without a problem.
func (r *reader) document(text []byte) *yaml.Node {
	if !r.readable(text) {
		return nil
	}
	var document yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	err := decoder.Decode(&document)
	var wrong *yaml.LoadError
	switch {
	case errors.As(err, &wrong):
		r.syntax(max(wrong.Mark.Line, 1), max(wrong.Mark.Column, 1), "is not YAML: %s", wrong.Message)
		return nil
	case err != nil || len(document.Content) == 0: // io.EOF: nothing but comments
		return nil
	}
	second := yaml.Node{Line: 1, Column: 1}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		if errors.As(err, &wrong) {
			second.Line, second.Column = max(wrong.Mark.Line, 1), max(wrong.Mark.Column, 1)
		}
		r.syntax(second.Line, second.Column, "begins a second document: a configuration is one; remove the line ---")
	}
	if root := resolve(document.Content[0]); root.Tag != "!!null" {
		return root
	}
	return nil
}

// readable finds what the parser would refuse without saying where.
func (r *reader) readable(text []byte) bool {
	if len(text) > maxFile {
		r.syntax(1, 1, "is larger than 1 MiB: this is not a configuration")
		return false
	}
	line, column := 1, 1
	for rest := text; len(rest) > 0; {
		char, size := utf8.DecodeRune(rest)
		switch {
		case char == utf8.RuneError && size == 1:
			r.syntax(line, column, "is not UTF-8 (byte 0x%02x): save the file as UTF-8", rest[0])
			return false
		case unicode.IsControl(char) && !strings.ContainsRune("\n\r\t", char):
			r.syntax(line, column, "holds a control character (%U): remove it", char)
			return false
		}
		if column++; char == '\n' {
			line, column = line+1, 1
		}
		rest = rest[size:]
	}
	return true
}

func (r *reader) syntax(line, column int, format string, arguments ...any) {
	r.report(&yaml.Node{Line: line, Column: column}, "", "", format, arguments...)
}
