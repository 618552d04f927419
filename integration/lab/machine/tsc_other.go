//go:build !amd64

package machine

// ticks is 0: an emulated guest's counter is not this processor's.
func ticks() uint64 { return 0 }
