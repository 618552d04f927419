package mounter

import "fmt"

// Secret is a text that no formatting, logging or encoding ever shows (DESIGN D13). Only Reveal gives it out. The text is behind a
// pointer, because fmt prints the fields of a value whose verb does not fit without asking the value: %q of a struct with a
// pointer to one with a secret would show it. Secrets are compared with [Secret.Equal], not with ==.
type Secret struct{ text *string }

const masked = "***"

// NewSecret wraps a text.
func NewSecret(text string) Secret { return Secret{text: &text} }

// Reveal gives the text out: for the kernel call and the credentials file only.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero says whether there is no secret.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// Equal compares the texts.
func (s Secret) Equal(other Secret) bool { return s.Reveal() == other.Reveal() }

// Format writes *** for every verb and flag.
func (s Secret) Format(state fmt.State, _ rune) { _, _ = state.Write([]byte(masked)) }

// String is ***.
func (s Secret) String() string { return masked }

// GoString is ***.
func (s Secret) GoString() string { return masked }

// MarshalText is ***, so that JSON and YAML never hold the text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }
