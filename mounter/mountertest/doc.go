// Package mountertest has a fake kernel: a [mounter.Mounter] with real folders, a real mount table and no privileges.
//
//	kernel := mountertest.New(t)
//	kernel.MountHost("/mnt/iscsi/media-apps", mountertest.FileSystem{Type: "ocfs2", UUID: uuid, Source: "/dev/sda"})
//	pool := kernel.HostPath("/mnt/iscsi/media-apps") // a real folder: make, read and rename files there
//
// # Folders
//
// Everything is below one temporary folder. A path of the host is below host/ there, and HostPath gives it out. A path of
// the plugin's namespace is taken as it is when it is below the temporary folder, so that code which opens it itself works
// (take [Kernel.Temp] for targets and shares), and is below plugin/ otherwise. A mount puts a symbolic link where it is
// mounted; what the link leads to belongs to the file system and is still there at its next mount, as a disk's contents are.
// What a bind masks is visible through the link all the same.
//
// # What it refuses
//
// As the kernel: a Bind of a directory that is missing (ENOENT), is no directory (ENOTDIR), is reached through a symbolic
// link (ELOOP) or leaves its base (EXDEV); any mount onto a target that has another one; an Unmount of a busy target or of
// one with a mount below it (EBUSY). Misuse by a test fails the test. A new mount has the lowest ID that is free, as one that
// is gone had it.
//
// # Faults
//
// [Kernel.Fail] fails the n-th call of one operation, [Kernel.FailNth] the n-th of any; [Kernel.Calls] says how many there
// were, so that a test can fail each in turn. [Kernel.Hold] keeps calls in the kernel until they are released: callers get
// mounter.ErrStuck and mounter.ErrBusy exactly as from mounter.Linux, because both use mounter.Guard. [Kernel.Actions] is
// what reached the kernel, in order.
//
// Unlike with a real kernel, mounts of the plugin do not show in the host's table, and file work that a test or a backend
// does with package os is not held or failed.
package mountertest
