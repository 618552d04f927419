package directory

import (
	"path"
	"strings"
	"testing"
)

// FuzzClean: a directory that is accepted is below its root, in the one form that records and keys use.
func FuzzClean(f *testing.F) {
	for _, text := range []string{"apps/radarr", "../../etc", "a/../b", "/etc", "a//b/./c/", "...", "a/..", strings.Repeat("a/", 20), "${X}", "a\x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		clean, err := Clean(text)
		if err != nil {
			return
		}
		if again, err := Clean(clean); err != nil || again != clean || !IsClean(clean) {
			t.Fatalf("%q becomes %q, and that %q (%v)", text, clean, again, err)
		}
		if full := path.Join("/pool", clean); !Beneath(full, "/pool") || clean != "" && full != "/pool/"+clean {
			t.Fatalf("%q leads to %s", text, full)
		}
	})
}
