// Package option parses driver options: what follows -o of `docker volume create`, or driver_opts of a compose file. Parsing
// is a pure function over one table, from which the help text and the documentation's table come.
package option

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/hashicorp/go-multierror"

	"github.com/homelab-storage/homelab-storage/internal/several"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// Set is a parsed set of options. A field of an option that was not given has its zero value, and Given says which were.
type Set struct {
	Class, Type, O, Device        string
	Pool, Share, Subdir           string
	UID, GID                      uint32
	Mode                          fs.FileMode
	SQLite                        *bool
	Credentials, Username, Domain string
	Password                      mounter.Secret
	ReadOnly                      bool
	Access, Guard                 string
	Size                          int64 // bytes
	From                          string
	Help                          bool
	Given                         map[string]bool
}

// Has says whether an option was given.
func (s Set) Has(name string) bool { return s.Given[name] }

// Parse reads the options of one volume. All problems are reported together, in the order of the options' names.
func Parse(options map[string]string) (Set, error) {
	set := Set{Given: map[string]bool{}}
	var problems *multierror.Error
	for _, key := range slices.Sorted(maps.Keys(options)) {
		row, ok := find(key)
		if !ok {
			problems = several.Append(problems, unknown(key))
			continue
		}
		if err := row.assign(&set, options[key]); err != nil {
			problems = several.Append(problems, err)
			continue
		}
		set.Given[row.Name] = true
	}
	problems = several.Append(problems, contradictions(set)...)
	problems = several.Append(problems, tmpfs(&set)...)
	return set, problems.ErrorOrNil()
}

// Public returns the options without the values of secret ones, for records and logs.
func Public(options map[string]string) map[string]string {
	shown := make(map[string]string, len(options))
	for key, value := range options {
		row, _ := find(key)
		shown[key] = public(row, value)
	}
	return shown
}

func parseID(text string) (uint32, error) {
	id, err := strconv.ParseUint(text, 10, 32)
	if err != nil || id == 1<<32-1 {
		return 0, badValue("must be a number from 0 to 4294967294")
	}
	return uint32(id), nil
}

func parseMode(text string) (fs.FileMode, error) {
	mode, err := strconv.ParseUint(text, 8, 32)
	if meant, ok := unquoted(text); ok && (err != nil || mode&0o700 != 0o700) {
		hint := fmt.Sprintf("is what YAML makes of %04o without quotes: write mode: \"%04[1]o\"", meant)
		if err == nil {
			hint += " (or, if it is meant, 0" + text + ")"
		}
		return 0, badValue(hint)
	}
	if err != nil || mode > 0o7777 {
		return 0, badValue("must be octal permissions, for example 0770")
	}
	return fs.FileMode(mode), nil
}

// unquoted finds the permissions behind a decimal number. A compose file's `mode: 0770` is octal for YAML, and comes here as 504.
func unquoted(text string) (meant uint64, ok bool) {
	meant, err := strconv.ParseUint(text, 10, 32)
	return meant, err == nil && !strings.HasPrefix(text, "0") && meant <= 0o7777 && meant&0o600 == 0o600
}

func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "1", "true", "yes", "on":
		return true, nil
	case "0", "false", "no", "off":
		return false, nil
	}
	return false, badValue("must be true or false")
}

func parseSize(text string) (int64, error) {
	size, err := units.RAMInBytes(text)
	if err != nil || size < 1<<16 {
		return 0, badValue("must be a size of at least 64k, for example 512m or 2g")
	}
	return size, nil
}
