// Package ocfs2 keeps volumes in directories of OCFS2 pools, and of the one standalone pool of a single node (DESIGN D4, D14).
//
// # A pool
//
// A pool is one file system at one path of the host. It is used where it is mounted; where it is not, it is found by UUID,
// label or /dev/disk/by-*, its iSCSI session is made, and the host's own mount.ocfs2 mounts it: once, and never a second
// time (FACTS 2: a second mount leaks a heartbeat reference). Where a volume in use keeps the file system alive after somebody
// unmounted the path, mount(2) alone mounts it again. The bring-up goes on when its callers have given up.
// Only the mount table says whether it worked; programs' exit codes do not.
//
// # Proof
//
// Before anything is made, staged or removed the pool is proven, without running a program: it is OCFS2, has the UUID of the
// configuration and of the record, is writable, has its heartbeat and no localflocks, and carries our marker with the same
// UUID. The marker is made by [Backend.Prepare] and at the first Create, never at a Mount. Then the directory must be a real
// one, reached without a link, and have the mark of this very volume. Each failure has its sentence.
//
// # Directories
//
// Create writes the mark first, which says whether the volume made or adopted the directory, and then makes it: owner and
// mode are given once, to the last directory only; those above it are 0755 root's. A directory that was there is adopted:
// never chowned, never moved. Remove moves what the volume made to the pool's trash, by a rename, and leaves the rest.
package ocfs2
