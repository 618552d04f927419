package mounter

import (
	"context"
	"io/fs"
	"net/netip"
	"time"
)

// Side says in which mount namespace a path is looked up.
type Side int

// The two sides of a [Place].
const (
	// Host is the namespace in which Docker resolves mount points.
	Host Side = iota
	// Plugin is the plugin's own namespace.
	Plugin
)

// Place is an absolute, clean path in one of the two mount namespaces.
type Place struct {
	Side Side
	Path string
}

// Mount is one line of a mount table (proc(5), /proc/pid/mountinfo).
type Mount struct {
	ID, Parent   int
	Device       string // "major:minor" of the superblock
	Root         string // the directory of the file system that is mounted
	Target       string // where it is mounted
	FSType       string
	Source       string
	ReadOnly     bool   // of the mount or of its superblock
	Options      string // per-mount options
	SuperOptions string // per-superblock options
	Peer, Master int    // propagation groups (shared:N, master:N); 0 when none
}

// Filesystem is what the kernel says of the file system under a directory. Sizes are in bytes.
type Filesystem struct {
	Type      string // "ocfs2", "cifs", "tmpfs", "ext4", ... as in mount tables
	Magic     int64  // statfs(2) f_type
	UUID      string // of OCFS2: 32 upper-case hexadecimal digits from OCFS2_IOC_INFO; else empty
	ReadOnly  bool
	Size      uint64
	Available uint64 // for unprivileged users
	Device    string // "major:minor"
}

// Bind asks for a detached bind mount of a directory, attached at Target (DESIGN D3).
type Bind struct {
	Base     Place  // a verified mount: a pool's root, a share's root or a local folder
	Device   string // "major:minor" of the file system that was proven at Base, EXDEV when it is another one now; "" is not compared
	Subdir   string // below Base, "/"-separated, "" for Base itself; reached without following any symlink
	Target   string // absolute, in the plugin's namespace; the folder is made
	ReadOnly bool
	// Mask lists directories directly below the source that are covered by an empty read-only tmpfs.
	Mask []string
}

// Share asks for a kernel SMB mount through fsopen and fsconfig, so that nothing is escaped and no secret is seen.
type Share struct {
	Source string // //server/share
	Target string // absolute, in the plugin's namespace; the folder is made
	// Options in the order in which they are given to fsconfig. A Flag has no value.
	Options []Option
	// User, Password and Domain go to the kernel only; empty means not given.
	User, Domain string
	Password     Secret
}

// Option is one option of a mount.
type Option struct {
	Name, Value string
	Flag        bool
}

// Tmpfs asks for a memory file system at Target.
type Tmpfs struct {
	Target   string
	Size     int64 // bytes
	UID, GID uint32
	Mode     fs.FileMode
	ReadOnly bool
}

// Command is a program of the host, run in the host's mount namespace and outside the plugin's cgroup.
type Command struct {
	Name string // looked up in the host's /usr/sbin, /usr/bin, /sbin, /bin
	Args []string
	// Limit ends the program with SIGKILL; 0 means 30 s. It is not the context: a caller may give up earlier and
	// leave the program to finish, as for a mount.ocfs2 that is joining its cluster.
	Limit time.Duration
}

// Output is what a program printed and its exit code. Of each stream it has the end: the last lines that fit into 64 KiB, which is
// all of what most programs print. What a program prints beyond 16 MiB is lost, and its write fails (EPERM).
type Output struct {
	Stdout, Stderr string
	Code           int
}

// User is a mount, outside of the plugin and its copies, of what is mounted at a target: a container that uses it.
type User struct {
	PID    int    // one process that sees the mount
	Name   string // its command name
	Target string // where it sees the mount
}

// OpenFile is a file that a process outside of the plugin and of the host's namespace has open for writing.
type OpenFile struct {
	PID  int
	Name string // the process's command name
	Path string // below the target's directory, clean and relative
}

// Cluster is what the node's O2CB stack says of itself and of one heartbeat region.
type Cluster struct {
	Name          string
	Node          int            // this node's number
	Nodes         map[string]int // node name -> number, from configfs
	DeadThreshold int
	IdleTimeout   time.Duration
	// Region is false when no heartbeat region of the asked UUID exists on this node.
	Region bool
	// Live lists the node numbers that are live in the region; it is nil when unknown.
	Live []int
	// Silent is how long ago this node's heartbeat last reached the region's disk; it is 0 when unknown.
	Silent time.Duration
}

// Mounter is what the driver and its backends ask of the kernel and of the host.
type Mounter interface {
	// HostPath translates a path of the host into one that this process can open, following the host's symbolic links
	// inside the host's root only. It does not touch the last component's contents and never fails: a path that does not
	// exist is translated literally.
	HostPath(path string) string
	// Table is the mount table of a namespace, in kernel order.
	Table(ctx context.Context, side Side) ([]Mount, error)
	// Filesystem tells what is under a directory.
	Filesystem(ctx context.Context, place Place) (Filesystem, error)
	// Bind attaches a directory at a target. An identical bind (directory, read-only, the masks when any are asked for) that is already
	// there is success; another mount there is EEXIST. A symbolic link on the way to the directory is ELOOP; a way that leaves the
	// base or crosses a mount point is EXDEV.
	Bind(ctx context.Context, bind Bind) error
	// MountShare mounts an SMB share. The error unwraps to the kernel's errno, which is EINVAL also for a value longer than
	// the kernel's 255 bytes. Anything mounted at the target already is EEXIST.
	MountShare(ctx context.Context, share Share) error
	// MountTmpfs mounts a memory file system. Anything mounted at the target already is EEXIST, and ErrUnseen when the engine does not
	// see it.
	MountTmpfs(ctx context.Context, spec Tmpfs) error
	// Unmount takes away the topmost mount at a target of the plugin's namespace, with the masks below it, and removes
	// the target's folder. A target that is not mounted is success. EBUSY is returned, never hidden by MNT_DETACH.
	// ENOTEMPTY says that the mount is gone but that its folder has files, written while nothing was mounted; it stays.
	Unmount(ctx context.Context, target string) error
	// Sync writes a file system's dirty data out (syncfs(2)).
	Sync(ctx context.Context, place Place) error
	// Uncache has this node forget what its page cache has of parts of a mounted disk; what is dirty or in use stays.
	Uncache(ctx context.Context, disk Mount, parts []Part) error
	// Users finds, for each target, the mounts of its directory (or of one below it: volume-subpath) in mount namespaces other
	// than the plugin's and the host's that are no copies of the host's tree (D11): a copy is on the same mount point, that
	// is the same directory of the same file system, as the original, or below a propagated-mount folder. A target without
	// users, also one that is not mounted, is not in the map.
	Users(ctx context.Context, targets []string) (map[string][]User, error)
	// Occupants finds who keeps a file system of the host from being unmounted or checked: the processes of the host and of the
	// plugin whose root, working directory, program or open file is at or below a path, and one process of each mount namespace
	// in which a device ("major:minor" or a mount's source) is mounted. Either may be "". The answer is a snapshot.
	Occupants(ctx context.Context, path, device string) ([]User, error)
	// OpenFiles finds, for each target, the files below it that containers have open for writing, through whatever mount of the
	// target's directory. It asks no file system, so that it never waits for a server. A target without such files, also one that
	// is not mounted, is not in the map.
	OpenFiles(ctx context.Context, targets []string) (map[string][]OpenFile, error)
	// Run runs a program of the host. An exit code other than 0 is not an error.
	Run(ctx context.Context, command Command) (Output, error)
	// Resolve asks the host (getent ahosts: mDNS, /etc/hosts), then Go's resolver, for the addresses of a host name. An
	// address is returned as it is.
	Resolve(ctx context.Context, host string) ([]netip.Addr, error)
	// Cluster reads configfs and debugfs for the heartbeat region of a pool, by the pool's UUID.
	Cluster(ctx context.Context, poolUUID string) (Cluster, error)
	// BootID is the kernel's boot id.
	BootID() string
	// Do runs file work that may hang (a dead node, a hung NAS) in a thread of its own; see the package's text.
	Do(ctx context.Context, key string, work func() error) error
}
