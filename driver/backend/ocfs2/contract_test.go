package ocfs2_test

import (
	"os"
	"testing"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/backendtest"
)

func TestContract(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backendtest.Bench {
		b := mountedBench(t)
		return contract(b, func(location backend.Location) string { return b.path(location.Subdir) })
	})
}

func TestContractOfTheStandalonePool(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backendtest.Bench {
		b := newBench(t)
		b.settings.Pools, b.settings.Standalone = nil, true
		return contract(b, func(location backend.Location) string {
			return b.kernel.HostPath("/var/lib/homelab-storage/local/standalone/" + location.Subdir)
		})
	})
}

func contract(b *bench, folder func(backend.Location) string) backendtest.Bench {
	return backendtest.Bench{
		Kernel: b.kernel, Backend: b.backend, Folder: folder, Trashes: true,
		Request: backend.Request{Name: "radarr_config", Location: backend.Location{
			UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Mode: 0o770,
		}},
		Bad: map[string]backend.Request{
			"not below a configured pool": {Name: "x", Device: "/srv/x"},
			`must not hold ".."`:          {Name: "x", Location: backend.Location{Subdir: "../x"}},
			"no meaning":                  {Name: "x", Options: "frobnicate"},
		},
	}
}
