package mountertest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/homelab-storage/homelab-storage/mounter"
)

// FileSystem describes what is mounted. Two mounts of one UUID, or without UUID of one Source, are one file system: one
// device, one set of files.
type FileSystem struct {
	Type         string // as in mount tables
	UUID         string
	Source       string
	ReadOnly     bool
	Size         uint64 // bytes; 0 means 100 GiB
	Available    uint64 // bytes; 0 means 60 GiB, unless Full
	Full         bool
	Options      string // per-mount; empty means rw,relatime
	SuperOptions string // empty means rw
	Magic        int64  // 0 means that of Type, when it is a well-known one
}

// contents is one file system with its files.
type contents struct {
	FileSystem
	device    string
	directory string // the real folder of its root
}

// mount is an entry of the table.
type mount struct {
	side      mounter.Side
	entry     mounter.Mount
	on        *contents
	directory string // the real folder that it shows
	covered   string // where a folder that was not empty is kept while it is covered
	masks     []string
}

const gib = 1 << 30

// MountHost mounts a file system on the host, making the mount point. A file system that is mounted there already is
// covered.
func (k *Kernel) MountHost(target string, fs FileSystem) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.attach(mounter.Host, target, fs)
}

// MountPlugin mounts a file system in the plugin's own namespace, as something that an earlier plugin process left.
func (k *Kernel) MountPlugin(target string, fs FileSystem) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.attach(mounter.Plugin, target, fs)
}

// UnmountHost takes the topmost mount at a target of the host away. Binds of it keep the file system, as in the kernel.
func (k *Kernel) UnmountHost(target string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	index := k.topmost(mounter.Host, target)
	if index < 0 {
		k.tb.Errorf("mountertest: UnmountHost(%q): nothing is mounted there", target)
		return
	}
	k.detach(index)
}

// ChangeHost changes the file system that is mounted at a target of the host, for example to read-only; every mount of it
// shows the change. Type, UUID and Source stay as they are.
func (k *Kernel) ChangeHost(target string, change func(*FileSystem)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	index := k.topmost(mounter.Host, target)
	if index < 0 {
		k.tb.Errorf("mountertest: ChangeHost(%q): nothing is mounted there", target)
		return
	}
	change(&k.mounts[index].on.FileSystem)
}

// attach makes a mount of a file system's root.
func (k *Kernel) attach(side mounter.Side, target string, fs FileSystem) {
	on := k.open(fs)
	k.must(k.add(side, target, on, on.directory, "/", false, nil))
}

// open finds a file system's contents, or makes them.
func (k *Kernel) open(fs FileSystem) *contents {
	key := fs.Type + " " + fs.UUID
	if fs.UUID == "" {
		key = fs.Type + " " + fs.Source
	}
	if on := k.contents[key]; on != nil && fs.UUID+fs.Source != "" {
		on.FileSystem = fs
		return on
	}
	k.lastMinor++
	on := &contents{FileSystem: fs, device: fmt.Sprintf("0:%d", 40+k.lastMinor)}
	on.directory = filepath.Join(k.temp, "contents", fmt.Sprint(k.lastMinor))
	k.must(os.MkdirAll(on.directory, 0o755))
	k.contents[key] = on
	return on
}

// add puts a link at the target and a line into the table.
func (k *Kernel) add(side mounter.Side, target string, on *contents, directory, root string, readOnly bool, masks []string) error {
	path := k.linkOf(side, target)
	covered, err := k.cover(path)
	if err != nil {
		return err
	}
	if err := os.Symlink(directory, path); err != nil {
		return err
	}
	entry := mounter.Mount{
		ID: k.freeID(), Parent: k.covering(side, target).entry.ID, Device: on.device, Root: root, Target: target,
		FSType: on.Type, Source: on.Source, ReadOnly: readOnly,
		Options: withDefault(on.Options, "rw,relatime"), SuperOptions: withDefault(on.SuperOptions, "rw"),
	}
	k.mounts = append(k.mounts, mount{
		side: side, entry: entry, on: on, directory: directory, covered: covered, masks: masks,
	})
	return nil
}

// firstID is the lowest ID of a mount.
const firstID = 21

// freeID is the lowest one that is free, as the kernel gives it (fs/namespace.c, mnt_alloc_id).
func (k *Kernel) freeID() int {
	id := firstID
	for slices.ContainsFunc(k.mounts, func(m mount) bool { return m.entry.ID == id }) {
		id++
	}
	return id
}

// linkOf is where the link of a mount is: on the host below what its parent directory shows.
func (k *Kernel) linkOf(side mounter.Side, target string) string {
	if side == mounter.Plugin {
		return k.PluginPath(target)
	}
	return filepath.Join(k.hostPath(filepath.Dir(target)), filepath.Base(target))
}

// cover makes room for a link: the folder (or an older link) is kept aside, to come back with its files.
func (k *Kernel) cover(path string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(k.temp, "covered"), 0o755); err != nil {
		return "", err
	}
	if err := os.Mkdir(path, 0o700); err == nil {
		return "", os.Remove(path)
	}
	k.covers++
	aside := filepath.Join(k.temp, "covered", fmt.Sprint(k.covers))
	return aside, os.Rename(path, aside)
}

// detach undoes add.
func (k *Kernel) detach(index int) {
	gone := k.mounts[index]
	k.mounts = slices.Delete(k.mounts, index, index+1)
	path := k.linkOf(gone.side, gone.entry.Target)
	k.must(os.Remove(path))
	if gone.covered != "" {
		k.must(os.Rename(gone.covered, path))
	} else if gone.side == mounter.Host {
		k.must(os.Mkdir(path, 0o755))
	}
}

// topmost is the index of the last mount at exactly this target, or -1.
func (k *Kernel) topmost(side mounter.Side, target string) int {
	for index, m := range slices.Backward(k.mounts) {
		if m.side == side && m.entry.Target == target {
			return index
		}
	}
	return -1
}

// covering is the mount that a path is on.
func (k *Kernel) covering(side mounter.Side, path string) mount {
	var best mount
	for _, m := range k.mounts {
		if m.side == side && below(path, m.entry.Target) && len(m.entry.Target) >= len(best.entry.Target) {
			best = m
		}
	}
	return best
}

// rootMount puts a namespace's root into the table.
func (k *Kernel) rootMount(side mounter.Side, directory string) {
	k.lastMinor++
	on := &contents{FileSystem: FileSystem{Type: "ext4", Source: "/dev/vda1"}, device: fmt.Sprintf("254:%d", k.lastMinor)}
	on.directory = directory
	k.mounts = append(k.mounts, mount{side: side, on: on, directory: directory, entry: mounter.Mount{
		ID: k.freeID(), Parent: 1, Device: on.device, Root: "/", Target: "/", FSType: "ext4", Source: "/dev/vda1",
		Options: "rw,relatime", SuperOptions: "rw",
	}})
}

// facts is what statfs and the table say of a file system.
func (c *contents) facts(readOnly bool) mounter.Filesystem {
	magic := map[string]int64{
		"ocfs2": unix.OCFS2_SUPER_MAGIC, "cifs": unix.CIFS_SUPER_MAGIC, "tmpfs": unix.TMPFS_MAGIC,
		"ext4": unix.EXT4_SUPER_MAGIC, "xfs": unix.XFS_SUPER_MAGIC, "btrfs": unix.BTRFS_SUPER_MAGIC,
	}[c.Type]
	fs := mounter.Filesystem{
		Type: c.Type, Magic: withDefault(c.Magic, magic), ReadOnly: readOnly || c.ReadOnly,
		Size: withDefault(c.Size, 100*gib), Available: withDefault(c.Available, 60*gib), Device: c.device,
	}
	if c.Full {
		fs.Available = 0
	}
	if c.Type == "ocfs2" {
		fs.UUID = c.UUID
	}
	return fs
}

func withDefault[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

// below says whether a path is a folder or in it.
func below(path, folder string) bool {
	return folder == "/" || path == folder || strings.HasPrefix(path, folder+"/")
}
