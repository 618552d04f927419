package option

import (
	"fmt"
	"slices"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/mountoption"
)

// contradictions finds options that cannot be meant together; each error names both.
func contradictions(set Set) []error {
	var problems []error
	both := func(a, b, why string) {
		if set.Has(a) && set.Has(b) {
			problems = append(problems, fmt.Errorf("options %s and %s contradict each other: %s", a, b, why))
		}
	}
	both("pool", "share", "a volume is on a pool or on a share")
	both("credentials", "username", "the credentials file names the user")
	both("credentials", "password", "the credentials file holds the password")
	both("share", "device", "both name the share; use one of them")
	if set.Has("password") && !set.Has("username") {
		problems = append(problems, fmt.Errorf("option password is given without username: give both, or credentials=<name>"))
	}
	if set.Has("from") && !strings.HasPrefix(set.From, "trash/") {
		problems = append(problems, fmt.Errorf("option from=%q must be trash/<entry>; `docker homelab trash ls` lists the entries", set.From))
	}
	return append(problems, typeContradictions(set)...)
}

func typeContradictions(set Set) []error {
	var problems []error
	share := strings.HasPrefix(set.Device, "//") || strings.HasPrefix(set.Device, `\\`)
	switch set.Type {
	case "none":
		if !slices.ContainsFunc(mountoption.Split(set.O), func(part mountoption.Part) bool { return part.Name == "bind" || part.Name == "rbind" }) {
			problems = append(problems, fmt.Errorf("option type=none needs o=bind, as for driver local; o is %q", mountoption.Public(set.O)))
		}
		if !set.Has("device") {
			problems = append(problems, fmt.Errorf("option type=none needs device=<a directory of a pool>"))
		}
	case "cifs", "smb3":
		if set.Has("device") && !share {
			problems = append(problems, fmt.Errorf("options type=%s and device=%q contradict each other: a share is //server/share", set.Type, set.Device))
		}
	case "ocfs2", "local", "tmpfs":
		if set.Has("share") {
			problems = append(problems, fmt.Errorf("options type=%s and share contradict each other: a share is type=cifs, or no type at all", set.Type))
		}
		if share {
			problems = append(problems, fmt.Errorf("options type=%s and device=%q contradict each other: the device is an SMB share", set.Type, set.Device))
		}
	}
	return problems
}
