package smb

import (
	"strings"
	"testing"

	"github.com/homelab-storage/homelab-storage/driver/backend/internal/directory"
)

// FuzzParseSource: what is accepted leads to one share and a directory below it, has no text that the kernel reads as something
// else, and its own form is read as the same.
func FuzzParseSource(f *testing.F) {
	for _, text := range []string{"//nas/media", `\\nas\media\films`, "//[fe80::1%eth0]/x", "//nas/media/../etc", "///x", "//nas", "smb://nas/x", "//a@nas/x", "//nas:445/x", "//nas/${SHARE}", "//nas/a/./b//c/", `\\\\nas\\media`, `//nas/My\ Share`, "//[fd00::1]:445/x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseSource("device", text)
		if err != nil {
			return
		}
		if !directory.IsClean(parsed.subdir) || strings.Contains("/"+parsed.subdir+"/", "/../") || strings.HasPrefix(parsed.subdir, "/") {
			t.Fatalf("%q leads to the directory %q", text, parsed.subdir)
		}
		if parsed.server == "" || parsed.share == "" || strings.ContainsAny(parsed.server+parsed.share, "/\\\x00\n") || parsed.share == ".." {
			t.Fatalf("%q leads to the share %q of %q", text, parsed.share, parsed.server)
		}
		again, err := parseSource("device", parsed.device()) // as a record has it, see newShare
		if parsed.subdir = ""; err != nil || again != parsed {
			t.Fatalf("%q is %q, which is read as %+v (%v)", text, parsed.device(), again, err)
		}
	})
}
