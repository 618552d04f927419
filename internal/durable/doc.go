// Package durable keeps small files that must survive a crash at any instruction.
//
// A [Dir] is one folder. What is below it is reached with openat2(2), never through a symbolic link and never onto another
// mount, so that nothing leads outside; a folder on the way costs one system call, however deep it is, and [Dir.Folder] keeps it
// open for several pieces of work. A file is replaced as a whole: temporary file, fsync, rename, fsync of the folder; a reader
// sees the old text or the new one, never a part, and what a call reported as done is still there after a power cut. Folders
// are 0700, files 0600.
//
// [Dir.TryLock] and [Dir.Lock] take flock(2), which OCFS2 makes cluster-wide (FACTS 2; POSIX locks are not). The kernel
// frees it when the process dies, so it guards a read-modify-write and is never itself a lease.
//
// Every durable step asks the function given to [WithFault] first. Tests count steps with it, let the n-th one fail, or
// let the process die there: from then on the function fails every step, and the folder stays as a crash would leave it.
//
// Not for large files (they are read and written as a whole), not for data that may be lost (use [Volatile]), and not for
// folders in which others work by other rules.
package durable
