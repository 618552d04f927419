// Package backendtest proves that a kind of storage keeps the contract of package backend. A new kind runs it in a few lines:
//
//	func TestContract(t *testing.T) {
//		backendtest.Run(t, func(t *testing.T) backendtest.Bench {
//			kernel := mountertest.New(t)
//			return backendtest.Bench{Kernel: kernel, Backend: local.New(kernel, "/var/lib/homelab-storage"), ...}
//		})
//	}
//
// Every part makes a bench of its own: a fake kernel on which the storage is there and well.
package backendtest
