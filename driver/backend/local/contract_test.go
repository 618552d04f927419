package local_test

import (
	"os"
	"testing"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/backendtest"
	"github.com/homelab-storage/homelab-storage/driver/backend/local"
	"github.com/homelab-storage/homelab-storage/mounter/mountertest"
)

func TestContract(t *testing.T) {
	for name, memory := range map[string]bool{"cache": false, "temp": true} {
		t.Run(name, func(t *testing.T) {
			backendtest.Run(t, func(t *testing.T) backendtest.Bench {
				kernel := mountertest.New(t)
				return backendtest.Bench{
					Kernel: kernel, Backend: local.New(kernel, state), Disposable: true, Trashes: true,
					Request: backend.Request{Name: "cache", Location: backend.Location{
						UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Mode: 0o770, Memory: memory,
					}},
					Bad: map[string]backend.Request{
						`subdir="x"`: {Location: backend.Location{Subdir: "x"}},
						"class temp": {Location: backend.Location{Size: 1 << 20}},
					},
				}
			})
		})
	}
}
