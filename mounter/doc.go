// Package mounter is the only code of homelab-storage that mounts, unmounts, reads mount tables, asks file systems who
// they are, or runs a program of the host.
//
// It knows nothing of volumes, classes or Docker: callers hand it places, and it answers with facts of the kernel. Two
// mount namespaces matter to it (DESIGN D2):
//
//   - the plugin's own, in which targets below /mnt/volumes and SMB share mounts live;
//   - the host's, in which Docker resolves mount points, pools are mounted and host tools run. It is the parent process
//     (the container shim) of a managed plugin, and the process itself of a plain daemon.
//
// A [Place] names a directory together with its namespace, so that neither can be mistaken for the other.
//
// Every method takes a context and returns when it is done, or with an error that matches [ErrStuck] when the context
// ended first. A kernel call cannot be taken back: it goes on in a thread of its own, its key stays busy (later calls
// with it fail at once with [ErrBusy]), and a mount that succeeds too late is undone.
//
// [Linux] is the real thing; package mountertest has a fake kernel with a mount table, faults and gates for tests.
package mounter
