package option

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode"

	"github.com/homelab-storage/homelab-storage/driver/mountoption"
	"github.com/homelab-storage/homelab-storage/mounter"
)

type modeBits = fs.FileMode

// badValue is the second half of a sentence whose first half names the option and its value.
type badValue string

func (b badValue) Error() string { return string(b) }

// assign checks what holds for every option, then sets it.
func (r Row) assign(set *Set, value string) error {
	if value == "" {
		return fmt.Errorf("option %s is empty: was a variable such as ${...} left empty in the compose file? Give it a value or leave the option out", r.Name)
	}
	if err := hidden(r.Name, value); err != nil {
		return err
	}
	if i := strings.IndexFunc(value, unicode.IsControl); i >= 0 && !r.Secret {
		return fmt.Errorf("option %s=%q holds a control character", r.Name, public(r, value))
	}
	err := r.set(set, value)
	if bad := badValue(""); errors.As(err, &bad) {
		return fmt.Errorf("option %s=%q %w", r.Name, value, bad)
	}
	return err
}

// hidden refuses passwords where none belongs: the engine shows these options, and errors do.
func hidden(name, value string) error {
	switch {
	case name == "username" && strings.Contains(value, "%"):
		return fmt.Errorf("option username holds a %q: a password is written password=..., not behind the name", "%")
	case (name == "device" || name == "share") && mountoption.HasLogin(value):
		return fmt.Errorf("option %s holds a user and a password: write %[1]s=//server/share, and username= and password=, or better credentials=<name>", name)
	}
	return nil
}

// public is what may be shown of a value.
func public(r Row, value string) string {
	switch {
	case r.Secret:
		return "***"
	case r.Name == "o":
		return mountoption.Public(value)
	}
	return value
}

func textInto(field func(*Set) *string) func(*Set, string) error {
	return func(set *Set, value string) error {
		*field(set) = value
		return nil
	}
}

func oneOf(field func(*Set) *string, allowed ...string) func(*Set, string) error {
	return func(set *Set, value string) error {
		if !slices.Contains(allowed, value) {
			return badValue("must be one of " + strings.Join(allowed, ", "))
		}
		*field(set) = value
		return nil
	}
}

func valueInto[T any](parse func(string) (T, error), assign func(*Set, T)) func(*Set, string) error {
	return func(set *Set, text string) error {
		value, err := parse(text)
		if err == nil {
			assign(set, value)
		}
		return err
	}
}

func setPassword(set *Set, value string) error {
	set.Password = mounter.NewSecret(value)
	return nil
}

// unknown names the nearest option.
func unknown(key string) error {
	var names []string
	for _, row := range Table() {
		names = append(names, row.Name)
	}
	if best := mountoption.Nearest(key, names); best != "" {
		return fmt.Errorf("option %q is unknown; did you mean %s? -o help=1 lists them all", key, best)
	}
	return fmt.Errorf("option %q is unknown; -o help=1 lists them all", key)
}
