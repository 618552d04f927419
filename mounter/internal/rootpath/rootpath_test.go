package rootpath_test

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/mounter/internal/rootpath"
)

func TestResolve(t *testing.T) {
	root := t.TempDir()
	for _, folder := range []string{"etc", "mnt/pool/db", "dev/disk/by-uuid"} {
		assert.NilError(t, os.MkdirAll(filepath.Join(root, folder), 0o755))
	}
	for link, target := range map[string]string{
		"data": "/mnt/pool", "up": "../../../etc", "mnt/pool/db/back": "../..", "loop": "loop", "dev/disk/by-uuid/1": "../../sda",
		"chain": "data/db",
	} {
		assert.NilError(t, os.Symlink(target, filepath.Join(root, link)))
	}
	for path, want := range map[string]string{
		"/": "", "": "", "/etc": "/etc", "//etc/./": "/etc", "/none/at/all": "/none/at/all", "/../../etc": "/etc",
		"/data/db": "/mnt/pool/db", "/up/passwd": "/etc/passwd", "/chain/back": "/mnt", "/loop/x": "/loop/x",
		"/dev/disk/by-uuid/1": "/dev/sda", "/etc/../data": "/mnt/pool",
	} {
		assert.Equal(t, rootpath.Resolve(root, path), filepath.Join(root, want), path)
	}
}
