package driver

import (
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/homelab-storage/homelab-storage/driver/catalog"
)

// FuzzName: a name that is allowed is one file below any folder, on every storage and in the catalog.
func FuzzName(f *testing.F) {
	for _, name := range []string{"radarr_config", "a", "..", "a/b", "../../etc/evil", "-x", ".hidden", "a\x00b", "x..", strings.Repeat("n", 129)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		err := checkName(name)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Fatalf("a text of %d bytes", len(err.Error()))
			}
			return
		}
		target := path.Join("/mnt/volumes", name)
		if path.Dir(target) != "/mnt/volumes" || path.Base(target) != name || !fs.ValidPath(name) || strings.HasPrefix(name, "-") || strings.HasPrefix(name, ".") {
			t.Fatalf("%q is allowed and leads to %s", name, target)
		}
		if !catalog.ValidName(name) {
			t.Fatalf("%q is allowed, but the catalog takes no record of it", name)
		}
	})
}
