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
// Calls with one key (a target, a place, a program with its arguments, what the caller of Do says) run one after the other.
//
// # Threads
//
// Work in the host's namespace is done on a thread of its own that is never used again. Go cannot end the process's first
// thread, and /proc/self shows that thread's namespaces, so it is never sent to the host (see onThread); a program that
// uses this package need not lock it. What is read of the plugin's own table is read from /proc/thread-self.
//
// # Mounts
//
// A bind is a clone of a mount (open_tree), made private before anything is put on it, so that a mask never shows on the
// pool. Masks are put on in a mount namespace that only one thread has and that is gone a moment later: there is no staging
// folder, nothing to clean up after SIGKILL, and no moment at which a target shows what is masked. Only an Unmount that
// fails with EBUSY takes masks off and puts them back.
//
// # Programs
//
// They run with the host's namespace and root, in its root cgroups, with a clean environment and with memory files as
// output, so that they go on when the plugin is killed or disabled. On a nested host, whose root cgroup takes no processes, they
// run in its init.scope, or else in a cgroup homelab-storage that is made there.
//
// # Faults
//
// Every system call asks Options.Fault first, so that a test can fail, hold or end the process at each of them.
//
// # When not to use it
//
// Files on a proven file system are read and written with package os, below HostPath, within Do when they may hang. HostPath
// itself reads symbolic links without a deadline: give it paths above mount points, or call it within Do.
//
// [Linux] is the real thing; package mountertest has a fake kernel with a mount table, faults and gates for tests.
package mounter
