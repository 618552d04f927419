package option

import (
	"fmt"
	"slices"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/mountoption"
)

// tmpfs takes type=tmpfs as it is written for driver local, with its size and owner in o= and a device that says nothing, over
// into the options of a temp volume.
func tmpfs(set *Set) []error {
	if set.Type != "tmpfs" {
		return nil
	}
	var problems []error
	for _, part := range mountoption.Split(set.O) {
		if err := set.takeTmpfs(part); err != nil {
			problems = append(problems, err)
		}
	}
	if strings.ContainsAny(set.Device, `/\`) {
		problems = append(problems, fmt.Errorf("options type=tmpfs and device=%q contradict each other: a tmpfs has no device; write device=tmpfs, or leave it out", set.Device))
	}
	set.O, set.Device = "", ""
	delete(set.Given, "o")
	delete(set.Given, "device")
	return problems
}

func (s *Set) takeTmpfs(part mountoption.Part) error {
	switch name := part.Name; {
	case slices.Contains([]string{"size", "uid", "gid", "mode"}, name):
		if s.Has(name) {
			return fmt.Errorf("options %s and o=%s=%s contradict each other: use one of them", name, name, part.Value)
		}
		row, _ := find(name)
		if err := row.assign(s, part.Value); err != nil {
			return fmt.Errorf("o: %w", err)
		}
		s.Given[name] = true
	case name == "ro" && !part.Valued:
		s.ReadOnly, s.Given["ro"] = true, true
	case !part.Valued && slices.Contains(strings.Fields("rw defaults nosuid nodev noatime relatime exec async"), name):
	default:
		return fmt.Errorf("o: option %q has no meaning for a temp volume; it takes size, uid, gid, mode and ro", name)
	}
	return nil
}
