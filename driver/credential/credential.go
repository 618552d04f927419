package credential

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/homelab-storage/homelab-storage/mounter"
)

const (
	// maxValue is the kernel's limit for one fsconfig(2) string, in bytes (FACTS 4: below 256).
	maxValue = 255
	// MaxPassword is how much of a password the kernel logs in with, in bytes: it leaves the rest out without a word (FACTS 4).
	MaxPassword = 128
)

// maxFile bounds what is read of a credentials file, in bytes.
const maxFile = 16 << 10

// Credentials are who logs in to a share.
type Credentials struct {
	Username, Domain string
	Password         mounter.Secret
}

// Identity is what two volumes must have in common to share one mount: not the password, which may be rotated.
func (c Credentials) Identity() string {
	return strings.ToLower(c.Domain) + `\` + strings.ToLower(c.Username)
}

// Check refuses what neither the file format nor the kernel can carry. All problems are reported; none shows the password.
func (c Credentials) Check() error {
	var problems []error
	if strings.TrimSpace(c.Username) == "" { // the file's blanks around a name do not count
		problems = append(problems, errors.New("the username is empty"))
	}
	if c.Password.IsZero() {
		problems = append(problems, errors.New("the password is empty"))
	}
	for _, field := range []struct {
		name, text string
		most       int
	}{
		{"username", c.Username, maxValue}, {"domain", c.Domain, maxValue}, {"password", c.Password.Reveal(), MaxPassword},
	} {
		if !utf8.ValidString(field.text) {
			problems = append(problems, fmt.Errorf("the %s is not UTF-8", field.name))
		}
		if strings.ContainsAny(field.text, "\n\r\x00") {
			problems = append(problems, fmt.Errorf("the %s holds a line end or a NUL byte", field.name))
		}
		if len(field.text) > field.most {
			problems = append(problems, fmt.Errorf("the %s has %d bytes; the kernel takes at most %d", field.name, len(field.text), field.most))
		}
	}
	return errors.Join(problems...)
}

// Parse reads a credentials file. An error names the line, never its value.
func Parse(from io.Reader) (Credentials, error) {
	var found Credentials
	limited := &io.LimitedReader{R: from, N: maxFile + 1}
	lines := bufio.NewScanner(limited)
	for number := 1; lines.Scan(); number++ {
		text := strings.TrimSuffix(lines.Text(), "\r")
		if number == 1 {
			text = strings.TrimPrefix(text, "\uFEFF")
		}
		if err := found.take(text); err != nil {
			return Credentials{}, fmt.Errorf("line %d: %w", number, err)
		}
	}
	if err := lines.Err(); err != nil {
		return Credentials{}, err
	}
	if limited.N == 0 {
		return Credentials{}, fmt.Errorf("it has more than %d bytes, of which username=, password= and domain= take up to three lines", maxFile)
	}
	domain, user := SplitUser(found.Username)
	found.Domain, found.Username = cmp.Or(found.Domain, domain), user
	return found, found.Check()
}

// take reads one line.
func (c *Credentials) take(line string) error {
	trimmed := strings.TrimLeft(line, " \t")
	if trimmed == "" || strings.HasPrefix(trimmed, "#") {
		return nil
	}
	name, value, ok := strings.Cut(trimmed, "=")
	if !ok {
		return errors.New(`has no "=": write username=, password= or domain= and the value`)
	}
	if !utf8.ValidString(value) {
		return errors.New("is not UTF-8")
	}
	bare := strings.TrimSpace(name)
	switch strings.ToLower(bare) {
	case "username", "user":
		c.Username = strings.TrimSpace(value)
	case "password", "pass":
		if bare != name && value != strings.TrimLeft(value, " \t") { // smbclient's format, where they do not count
			return errors.New(`has blanks around the "=", of which the one behind it would be a part of the password: write it without them`)
		}
		c.Password = mounter.NewSecret(value)
	case "domain", "dom", "workgroup":
		c.Domain = strings.TrimSpace(value)
	default:
		return errors.New("does not begin with username=, password= or domain=")
	}
	return nil
}

// SplitUser takes the domain off a user that is written DOMAIN\name, also with the backslash doubled, or DOMAIN/name. No user's name
// holds either of them.
func SplitUser(username string) (domain, user string) {
	if i := strings.IndexAny(username, `\/`); i >= 0 {
		return username[:i], strings.TrimLeft(username[i:], `\/`)
	}
	return "", username
}

// text is the file's content.
func (c Credentials) text() []byte {
	var text strings.Builder
	text.WriteString("username=" + c.Username + "\npassword=" + c.Password.Reveal() + "\n")
	if c.Domain != "" {
		text.WriteString("domain=" + c.Domain + "\n")
	}
	return []byte(text.String())
}
