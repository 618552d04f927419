// Package image makes and caches what the lab's machines boot: Debian's kernel as an uncompressed
// vmlinux, a small initramfs, and a root disk with Docker, open-iscsi, ocfs2-tools, cifs-utils, the
// lab's agent and a stand-in container image.
//
// [Ensure] returns the cached image or builds it, in three steps:
//
//   - tree: mmdebstrap unpacks Debian and the kernel (the only step that needs a network),
//   - image: modules, agent and the lab's files are added, the disk is made with mke2fs -d,
//   - settle: the disk is booted once, so that Docker's first start and the import of the stand-in
//     image are not paid by every test, and so that an image that does not boot is never published.
//
// # Cache
//
// Below the cache folder, tree-KEY and image-KEY carry the hash of everything that went into them:
// scripts, package list, suite, guest files and the agent's binary. An entry appears by rename when
// it is complete. A lock file lets one process build while others wait; entries of other keys that
// nobody uses are removed. The folder may be deleted whenever no lab runs.
//
// # The two inits
//
// One disk serves both: /lab/init, a shell script that reaches the agent seconds earlier, and
// systemd. The kernel argument lab.init= chooses; guest/ holds the files.
//
// Only amd64: the kernel is started as vmlinux through its PVH entry, which saves the guest its
// own decompression, nearly half of the boot under emulation.
package image
