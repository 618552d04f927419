package config

import (
	"io/fs"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/homelab-storage/homelab-storage/driver/class"
	"github.com/homelab-storage/homelab-storage/driver/mountoption"
	"github.com/homelab-storage/homelab-storage/driver/settings"
)

// readClasses reads a mapping whose keys are names of the operator's choice.
func readClasses(r *reader, node *yaml.Node, key string, into *layer) {
	if node.Kind != yaml.MappingNode {
		r.refuse(node, key, "must be a mapping: a line \"<name>:\" for each class, and below it like: <class>")
		return
	}
	entries(r, node, key, func(name, value *yaml.Node) {
		at := join(key, name.Value)
		if err := checkClassName(name.Value); err != nil {
			r.report(name, at, "", "%v", err)
			return
		}
		one := namedClass{name: name.Value}
		fill(r, value, at, classFields(), &one.class)
		into.classes = append(into.classes, one)
	})
}

func checkClassName(name string) error {
	if slices.Contains(class.Names(nil), name) {
		return bad("is a built-in class and cannot be changed: choose another name, with like: %s", name)
	}
	_, err := parseName(name)
	return err
}

func classFields() []field[settings.Class] {
	return []field[settings.Class]{
		{name: "like", form: "a built-in class", text: "the class whose behaviour this one has", required: true, read: scalar(parseLike, func(c *settings.Class, v string) { c.Like = v })},
		{name: "uid", form: "a number", text: "owner of a new directory", read: scalar(parseID, func(c *settings.Class, v uint32) { c.UID = &v })},
		{name: "gid", form: "a number", text: "group, likewise", read: scalar(parseID, func(c *settings.Class, v uint32) { c.GID = &v })},
		{name: "mode", form: "octal", text: "permissions, likewise", read: scalar(parseMode, func(c *settings.Class, v fs.FileMode) { c.Mode = &v })},
	}
}

func parseLike(text string) (string, error) {
	known := class.Names(nil)
	if slices.Contains(known, text) {
		return text, nil
	}
	if best := nearest(text, known); best != "" {
		return "", bad("is not a built-in class; did you mean %s?", best)
	}
	return "", bad("is not a built-in class; they are %s", strings.Join(known, ", "))
}

func defaultsFields() []field[defaults] {
	return []field[defaults]{
		{name: "uid", form: "a number", text: "owner of new directories (1000)", read: scalar(parseID, func(d *defaults, v uint32) { d.uid = &v })},
		{name: "gid", form: "a number", text: "group of new directories (1000)", read: scalar(parseID, func(d *defaults, v uint32) { d.gid = &v })},
		{name: "mode", form: "octal", text: "permissions of new directories (0770)", read: scalar(parseMode, func(d *defaults, v fs.FileMode) { d.mode = &v })},
		{name: "trash_retention", form: "a time", text: "how long removed data stays in a pool's trash (30d)", read: scalar(duration(maxDuration, "at most 3650d"), func(d *defaults, v time.Duration) { d.trashRetention = &v })},
		{name: "share_linger", form: "a time", text: "how long an unused share stays mounted (10m)", read: scalar(duration(maxDuration, "at most 3650d"), func(d *defaults, v time.Duration) { d.shareLinger = &v })},
		{name: "lease_wait", form: "a time", text: "how long a container's start waits for another node to let go of a volume (20s)", read: scalar(parseLeaseWait, func(d *defaults, v time.Duration) { d.leaseWait = &v })},
	}
}

func parseLeaseWait(text string) (time.Duration, error) {
	return duration(maxLeaseWait, "at most 100s, because Docker gives up after two minutes")(text)
}

// readShareOption reads one option of a share; a password is never repeated in the problem.
func readShareOption(r *reader, node *yaml.Node, key string, into *settings.Share) {
	if parts := mountoption.Split(node.Value); node.Kind == yaml.ScalarNode && slices.ContainsFunc(parts, mountoption.HoldsPassword) {
		r.report(node, key, "", "holds a password, which everybody could read here: store it with `docker homelab credentials set NAME --username USER`, then write credentials: NAME")
		return
	}
	scalar(parseShareOption, func(s *settings.Share, v string) { s.Options = append(s.Options, v) })(r, node, key, into)
}
