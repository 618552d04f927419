package directory

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a volume's directory. A name's length is that of every Linux file system (NAME_MAX); the others keep a full path
// far below PATH_MAX.
const (
	MaxDepth = 16
	maxName  = 255
	maxPath  = 1024
)

// Clean checks a relative directory as a person wrote it and returns it in the one form that records and keys use. The error
// completes a sentence that begins with the option's name and value.
func Clean(text string) (string, error) {
	if strings.HasPrefix(text, "/") {
		return "", fmt.Errorf("must be relative, without the leading %q", "/")
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return "", fmt.Errorf("holds a control character or is not UTF-8")
	}
	if strings.Contains(text, "${") {
		return "", fmt.Errorf("holds %q: a variable was not replaced", "${")
	}
	var names []string
	for name := range strings.SplitSeq(text, "/") {
		switch {
		case name == "..":
			return "", fmt.Errorf("must not hold %q", "..")
		case len(name) > maxName:
			return "", fmt.Errorf("holds a name of %d bytes; the limit is %d", len(name), maxName)
		case name != "" && name != ".":
			names = append(names, name)
		}
	}
	clean := strings.Join(names, "/")
	if len(names) > MaxDepth || len(clean) > maxPath {
		return "", fmt.Errorf("is %d levels deep and %d bytes long; the limits are %d and %d", len(names), len(clean), MaxDepth, maxPath)
	}
	return clean, nil
}

// IsClean says whether a directory of a record is in the form that Clean gives. Records are hostile input (DESIGN D7).
func IsClean(subdir string) bool {
	clean, err := Clean(subdir)
	return err == nil && clean == subdir
}

// IsID says whether a text is a volume's ID: 32 lower-case hexadecimal digits.
func IsID(text string) bool {
	return len(text) == 32 && strings.Trim(text, "0123456789abcdef") == ""
}

// Beneath says whether a path is below, or is, a directory; both are clean and absolute, or both relative.
func Beneath(name, dir string) bool {
	return name == dir || dir == "/" || strings.HasPrefix(name, dir+"/")
}

// split gives the parent, "" for the root itself, and the last name.
func split(subdir string) (parent, name string) {
	parent, name = path.Split(subdir)
	return strings.TrimSuffix(parent, "/"), name
}
