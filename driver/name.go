package driver

import (
	"fmt"
	"regexp"
)

// namePattern is what a volume's name may be: a file name on every storage, never an option, a path or a Windows drive
// (FACTS 1: the engine hands names over unchecked, and reads `-v x:/data` as drive x).
var namePattern = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}$`)

func checkName(name string) error {
	if namePattern.MatchString(name) {
		return nil
	}
	shown := name
	if len(shown) > 140 {
		shown = shown[:140] + "..."
	}
	return fmt.Errorf("volume name %q is not allowed: use 2 to 128 of the characters a-z A-Z 0-9 _ . -, beginning with a letter or digit", shown)
}
