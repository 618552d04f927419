package mounter

import (
	"context"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/homelab-storage/homelab-storage/mounter/internal/rootpath"
)

// Options configure a [Linux].
type Options struct {
	// HostPID is a process in the host's mount namespace. 0 means the parent process when it has another mount namespace
	// than this one (a managed plugin under its shim), else this process (a plain daemon).
	HostPID int
	// TargetRoot is the folder below which volumes are mounted, /mnt/volumes; it is made when it is missing. In a managed
	// plugin it must be a shared mount, as the engine makes it.
	TargetRoot string
	// OwnCgroup leaves programs in this process's cgroup, for one that nobody ends with all that it has started: a command of the
	// operator. It needs no privilege then to run them.
	OwnCgroup bool
	// Log gets what has no caller to be told: late successes that were undone, and what could not be undone.
	Log *logrus.Entry
	// Fault, when set, is asked before each system call, by its name, and its error is returned instead of making the call.
	Fault func(op string) error
}

// Linux is the real [Mounter].
type Linux struct {
	calls         calls
	guard         Guard
	log           *logrus.Entry
	hostPID       int
	plain         bool // this process lives in the host's mount namespace
	ownCgroup     bool // programs stay in this process's
	hostNamespace *os.File
	bootID        string
	proc          string
	targetRoot    string
	rootOutside   atomic.Pointer[string] // the target root as the host has it, once it is known
}

var _ Mounter = (*Linux)(nil)

// New finds the host's mount namespace and checks that mounts below the target root reach it.
func New(options Options) (*Linux, error) {
	if err := CheckKernel(); err != nil {
		return nil, err
	}
	l := &Linux{calls: calls{fault: options.Fault}, log: options.Log, hostPID: options.HostPID, ownCgroup: options.OwnCgroup, proc: "/proc", targetRoot: options.TargetRoot}
	if err := absolute(options.TargetRoot); err != nil {
		return nil, fmt.Errorf("target root: %w", err)
	}
	if err := l.findHost(); err != nil {
		return nil, err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("boot id: %w", err)
	}
	l.bootID = strings.TrimSpace(string(boot))
	if err := os.MkdirAll(options.TargetRoot, 0o755); err != nil {
		return nil, fmt.Errorf("target root: %w", err)
	}
	if err := l.checkShared(options.TargetRoot); err != nil {
		return nil, err
	}
	return l, nil
}

// findHost fills in who the host is.
func (l *Linux) findHost() error {
	own, err := namespaceOf(l.proc, "self")
	if err != nil {
		return fmt.Errorf("this process's mount namespace: %w", err)
	}
	pid := l.hostPID
	if pid == 0 {
		pid = os.Getppid()
	}
	host, err := namespaceOf(l.proc, strconv.Itoa(pid))
	if err != nil {
		return fmt.Errorf("the mount namespace of process %d cannot be read (the plugin needs pidhost and CAP_SYS_PTRACE): %w", pid, err)
	}
	if host == own {
		l.plain, l.hostPID = true, os.Getpid()
		return nil
	}
	l.hostPID = pid
	l.hostNamespace, err = openNamespace(pid)
	return err
}

// checkShared makes sure that containers will see what is mounted below the target root: else they would silently write to
// the host's root disk.
func (l *Linux) checkShared(root string) error {
	if l.plain {
		return nil
	}
	table, err := l.readTable(Plugin)
	if err != nil {
		return err
	}
	if covering, ok := coveringMount(table, root); !ok || covering.Peer == 0 {
		return fmt.Errorf("%s is not on a shared mount (it is on %s), so that containers would not see volumes mounted there: "+
			"the plugin's config.json needs \"propagatedMount\": %q", root, covering.Target, root)
	}
	return nil
}

// Plain says that this process lives in the host's mount namespace (a plain daemon).
func (l *Linux) Plain() bool { return l.plain }

// HostPID is a process in the host's mount namespace.
func (l *Linux) HostPID() int { return l.hostPID }

// BootID is the kernel's boot id.
func (l *Linux) BootID() string { return l.bootID }

// HostPath gives a path below /proc/<pid of the host>/root, or, in a plain daemon, the path itself.
func (l *Linux) HostPath(name string) string {
	if l.plain {
		return path.Clean(name)
	}
	return rootpath.Resolve(fmt.Sprintf("/proc/%d/root", l.hostPID), name)
}

// Do runs work on a goroutine of its own.
func (l *Linux) Do(ctx context.Context, key string, work func() error) error {
	return l.guard.Do(ctx, "do "+key, work, nil)
}

// minimum is the oldest kernel that has all that is used here: 5.15 is the oldest long-term release with mount_setattr(2)
// (5.12) and the fixes that followed it.
const (
	minimumMajor = 5
	minimumMinor = 15
)

// CheckKernel refuses kernels before 5.15.
func CheckKernel() error {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return fmt.Errorf("uname: %w", err)
	}
	return checkRelease(unix.ByteSliceToString(name.Release[:]))
}

func checkRelease(release string) error {
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return fmt.Errorf("the kernel's release %q is not understood; 5.15 or newer is needed", release)
	}
	if major < minimumMajor || major == minimumMajor && minor < minimumMinor {
		return fmt.Errorf("the kernel is %s; homelab-storage needs 5.15 or newer (mount_setattr, open_tree): "+
			"install a newer kernel and reboot", release)
	}
	return nil
}
