package smb_test

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/backendtest"
	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/mounter"
)

func TestContract(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backendtest.Bench {
		b := newBench(t)
		store := credential.NewStore(b.kernel, "/var/lib/homelab-storage/credentials")
		login := credential.Credentials{Username: "bob", Password: mounter.NewSecret(backendtest.Canary)}
		assert.NilError(t, store.Set(t.Context(), "nas", login))
		return backendtest.Bench{
			Kernel: b.kernel, Backend: b.restart(store),
			Folder: func(location backend.Location) string {
				return filepath.Join(b.kernel.ShareFiles(location.Device), location.Subdir)
			},
			Request: backend.Request{Name: "films", Share: "torrents", Explicit: map[string]bool{}, Location: backend.Location{
				Subdir: "films", UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Mode: 0o770,
			}},
			Bad: map[string]backend.Request{
				"server's name is empty": {Name: "x", Device: "///torrents"},
				"did you mean vers":      {Name: "x", Device: "//nas/torrents", Options: "verz=3.0"},
			},
		}
	})
}
