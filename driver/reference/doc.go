// Package reference counts who uses a volume on this node: the IDs with which the engine mounted it and has not yet
// unmounted it (DESIGN D11).
//
// The counts live in memory and, one small file per volume, in a folder of a memory file system, so that they survive the
// plugin and the engine and end with the boot, as the mounts do. A [Counter] is loaded once at start; a file that cannot be
// read is set aside and reported.
//
// The engine repeats calls and forgets some: the same ID twice is two uses (docker cp has the running container's own ID),
// an unknown one is no error, and an engine that was killed never unmounts (FACTS 1). Each use therefore says which
// incarnation of the engine asked, and [Counter.Reap] takes away what its caller has proven to be gone. This package proves
// nothing itself: it does not know the kernel.
//
// One process at a time has the folder: two plugins of one node have a run folder each.
package reference
