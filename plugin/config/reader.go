package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"go.yaml.in/yaml/v4"

	"github.com/homelab-storage/homelab-storage/driver/mountoption"
)

// reader walks one parsed file and collects its problems.
type reader struct {
	file     string
	problems []Problem
}

// field is one key of a mapping: its documentation and how it is read into T.
type field[T any] struct {
	name     string
	form     string // what a value looks like
	text     string // what it is for
	required bool
	optional bool // nothing after the colon means that the key is not given
	read     func(r *reader, node *yaml.Node, key string, into *T)
}

// refuse reports a value.
func (r *reader) refuse(node *yaml.Node, key, format string, arguments ...any) {
	value := node.Value
	if mountoption.HasLogin(value) {
		value = ""
	}
	r.report(node, key, value, format, arguments...)
}

// report reports a place without showing its value, or with another one.
func (r *reader) report(node *yaml.Node, key, value, format string, arguments ...any) {
	r.problems = append(r.problems, Problem{
		File: r.file, Line: node.Line, Column: node.Column, Key: key, Value: value, Text: fmt.Sprintf(format, arguments...),
	})
}

// fill reads a mapping by its fields.
func fill[T any](r *reader, node *yaml.Node, key string, fields []field[T], into *T) {
	node = resolve(node)
	if node.Kind != yaml.MappingNode {
		r.refuse(node, key, "must be a mapping with the keys %s", names(fields))
		return
	}
	given := entries(r, node, key, func(name, value *yaml.Node) {
		i := slices.IndexFunc(fields, func(f field[T]) bool { return f.name == name.Value })
		if i < 0 {
			r.unknown(name, key, nameList(fields))
			return
		}
		readField(r, value, join(key, name.Value), fields[i], into)
	})
	for _, f := range fields {
		if f.required && !given[f.name] {
			r.report(node, key, "", "has no %s: add %s: <%s>", f.name, f.name, f.form)
		}
	}
}

func readField[T any](r *reader, value *yaml.Node, key string, f field[T], into *T) {
	value = resolve(value)
	if value.Tag != "!!null" {
		f.read(r, value, key, into)
	} else if !f.optional {
		r.report(value, key, "", "has no value: write one, or leave the line out")
	}
}

// entries visits the entries of a mapping, reports doubled keys, and says which keys there are.
func entries(r *reader, node *yaml.Node, key string, visit func(name, value *yaml.Node)) map[string]bool {
	lines := map[string]int{}
	given := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name := resolve(node.Content[i])
		if line, ok := lines[name.Value]; ok {
			r.report(name, join(key, name.Value), "", "is given twice, first in line %d: keep one of them", line)
			continue
		}
		lines[name.Value], given[name.Value] = name.Line, true
		visit(name, node.Content[i+1])
	}
	return given
}

// unknown reports a key that nobody knows, with the nearest one that is known.
func (r *reader) unknown(name *yaml.Node, key string, known []string) {
	if best := nearest(name.Value, known); best != "" {
		r.report(name, join(key, name.Value), "", "is not a key; did you mean %s?", best)
		return
	}
	r.report(name, join(key, name.Value), "", "is not a key here; the keys are %s", strings.Join(known, ", "))
}

// nearest is the known name that is at most two edits away, or "".
func nearest(name string, known []string) string {
	best, distance := "", 3
	for _, candidate := range known {
		if d := levenshtein.Distance(strings.ToLower(name), candidate, nil); d < distance {
			best, distance = candidate, d
		}
	}
	return best
}

// resolve follows aliases.
func resolve(node *yaml.Node) *yaml.Node {
	for node.Kind == yaml.AliasNode && node.Alias != nil {
		node = node.Alias
	}
	return node
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

func nameList[T any](fields []field[T]) []string {
	list := make([]string, len(fields))
	for i, f := range fields {
		list[i] = f.name
	}
	return list
}

func names[T any](fields []field[T]) string { return strings.Join(nameList(fields), ", ") }
