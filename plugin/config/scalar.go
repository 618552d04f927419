package config

import (
	"fmt"

	"go.yaml.in/yaml/v4"
)

// badValue says what a value must be; the reader puts file, place, key and value before it.
type badValue string

// Error is the second half of the sentence.
func (b badValue) Error() string { return string(b) }

func bad(format string, arguments ...any) error { return badValue(fmt.Sprintf(format, arguments...)) }

// scalar makes the read function of a field from a parser of texts and a place to put the result.
func scalar[T, V any](parse func(string) (V, error), assign func(into *T, value V)) func(*reader, *yaml.Node, string, *T) {
	return func(r *reader, node *yaml.Node, key string, into *T) {
		if node.Kind != yaml.ScalarNode {
			r.report(node, key, "", "must be a single value")
			return
		}
		value, err := parse(node.Value)
		if err != nil {
			r.refuse(node, key, "%v", err)
			return
		}
		assign(into, value)
	}
}

// mapping makes the read function of a field that is a mapping of its own.
func mapping[T, V any](fields []field[V], assign func(into *T, value V)) func(*reader, *yaml.Node, string, *T) {
	return func(r *reader, node *yaml.Node, key string, into *T) {
		var value V
		fill(r, node, key, fields, &value)
		assign(into, value)
	}
}

// sequence makes the read function of a field that is a list; item reads one element.
func sequence[T any](item func(r *reader, node *yaml.Node, key string, into *T)) func(*reader, *yaml.Node, string, *T) {
	return func(r *reader, node *yaml.Node, key string, into *T) {
		if node.Kind != yaml.SequenceNode {
			r.refuse(node, key, "must be a list: one line with \"- \" for each element")
			return
		}
		for i, child := range node.Content {
			item(r, resolve(child), fmt.Sprintf("%s[%d]", key, i), into)
		}
	}
}
