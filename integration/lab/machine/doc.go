// Package machine runs virtual machines with QEMU inside a [box.Box].
//
// A machine is one QEMU process with one disk, one network card on a tap device of the box and the
// lab's agent behind a virtio serial port. It never restarts by itself: a guest that reboots, or
// that OCFS2 fences, ends the process, [Machine.Done] says so, and the next boot is a new process
// on the same disk; every boot is a cold one.
//
// # Disk
//
// Guests write to a qcow2 overlay opened with cache=unsafe. That ignores the guest's flushes towards
// the host's disk only: QEMU still writes its own metadata out at each flush (block/io.c,
// bdrv_co_flush: "Write back cached data to the OS even with cache=unsafe"). So what a guest has
// fsynced survives [Machine.Kill], as on a real disk; only a crash of the host loses it.
//
// # Accelerator
//
// Plain emulation is the rule. KVM is used only where [Accelerator] saw it boot this very kernel:
// there are hosts that offer /dev/kvm and then never reach the first instruction of a guest.
package machine
