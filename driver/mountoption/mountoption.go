package mountoption

import (
	"regexp"
	"strings"
)

// Part is one option of the text.
type Part struct {
	Name   string // lower case; empty only for a value without a name ("=x")
	Value  string
	Valued bool // the text had a "="
}

// Split reads the text as the kernel does: parts are separated by commas, and inside the value of a password a comma is
// written twice. Blanks around a part are dropped, but not inside a password; empty parts are skipped.
func Split(text string) []Part {
	var parts []Part
	for rest := text; rest != ""; {
		var raw string
		raw, rest = cut(rest)
		name, value, valued := strings.Cut(raw, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "" && !valued {
			continue
		}
		if !IsPassword(name) {
			value = strings.TrimSpace(value)
		}
		parts = append(parts, Part{Name: name, Value: value, Valued: valued})
	}
	return parts
}

// cut takes the first part off. In a password, ",," stands for one comma and does not end it.
func cut(text string) (part, rest string) {
	name, _, _ := strings.Cut(text, "=")
	if !IsPassword(strings.ToLower(strings.TrimSpace(name))) {
		part, rest, _ = strings.Cut(text, ",")
		return part, rest
	}
	var value strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != ',' {
			value.WriteByte(text[i])
			continue
		}
		if i+1 >= len(text) || text[i+1] != ',' {
			return value.String(), text[i+1:]
		}
		value.WriteByte(',')
		i++
	}
	return value.String(), ""
}

// IsPassword says whether an option's name is one of those that hold a password.
func IsPassword(name string) bool {
	switch name {
	case "password", "pass", "password2", "pass2", "passwd", "pwd": // the last two mean nothing, but are written
		return true
	}
	return false
}

func isUser(name string) bool { return name == "username" || name == "user" }

// HoldsPassword says whether an option is a password, or a user with one in the old form username=name%password.
func HoldsPassword(part Part) bool {
	return IsPassword(part.Name) || isUser(part.Name) && strings.Contains(part.Value, "%")
}

// login is a user and a password in front of a server's name, as in a URL.
var login = regexp.MustCompile(`^\s*([a-zA-Z0-9]+:)?[/\\]{2,}[^/\\@]*:[^/\\]*@`)

// HasLogin says whether a share's address holds a user and a password, which must not be shown.
func HasLogin(address string) bool { return login.MatchString(address) }

// Public is the text without passwords, also those of the old form username=name%password. What follows a password and is no option's name may be the tail of a password
// whose comma was not doubled, and is hidden too.
func Public(text string) string {
	var public []string
	hiding := false
	for _, part := range Split(text) {
		switch {
		case IsPassword(part.Name):
			public, hiding = append(public, part.Name+"=***"), true
		case hiding && !Known(part.Name):
		case isUser(part.Name) && strings.Contains(part.Value, "%"):
			user, _, _ := strings.Cut(part.Value, "%")
			public, hiding = append(public, part.Name+"="+user+"%***"), true
		case part.Valued:
			public, hiding = append(public, part.Name+"="+part.Value), false
		default:
			public, hiding = append(public, part.Name), false
		}
	}
	return strings.Join(public, ",")
}
