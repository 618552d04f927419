package mounter

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// calls is every system call that may fail, in one place: each asks the fault hook first and names itself in its error.
type calls struct {
	fault func(op string) error
}

// do runs one call, again when a signal interrupted it.
func (c calls) do(op string, call func() error) error {
	if c.fault != nil {
		if err := c.fault(op); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
	}
	for {
		err := call()
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		return nil
	}
}

// open is do for a call that gives a descriptor.
func (c calls) open(op string, call func() (int, error)) (*os.File, error) {
	descriptor := -1
	err := c.do(op, func() (err error) {
		descriptor, err = call()
		return err
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(descriptor), op), nil
}

// number is a file's descriptor, valid as long as the file is; unlike Fd it leaves the file's mode alone.
func number(file *os.File) int {
	connection, err := file.SyscallConn()
	if err != nil {
		return -1
	}
	descriptor := -1
	if err := connection.Control(func(fd uintptr) { descriptor = int(fd) }); err != nil {
		return -1
	}
	return descriptor
}

// directory opens a path for O_PATH work, following symbolic links.
func (c calls) directory(path string) (*os.File, error) {
	return c.open("open", func() (int, error) {
		return unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
}

// beneath opens a directory below another one. No symbolic link is followed and no mount point is crossed, so that what is
// reached is on the file system that was verified.
func (c calls) beneath(base *os.File, subdir string) (*os.File, error) {
	if subdir == "" {
		subdir = "."
	}
	how := unix.OpenHow{
		Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS |
			unix.RESOLVE_NO_XDEV,
	}
	return c.open("openat2", func() (int, error) { return unix.Openat2(number(base), subdir, &how) })
}

// readable opens a directory that was opened with O_PATH for ioctl and syncfs.
func (c calls) readable(directory *os.File) (*os.File, error) {
	return c.open("openat", func() (int, error) {
		return unix.Openat(number(directory), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
}

// clone makes a detached copy of the mount that a directory is on, with the directory as its root.
func (c calls) clone(directory *os.File, flags uint) (*os.File, error) {
	flags |= unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_EMPTY_PATH
	return c.open("open_tree", func() (int, error) { return unix.OpenTree(number(directory), "", flags) })
}

// setAttributes changes flags and propagation of a detached mount.
func (c calls) setAttributes(tree *os.File, set, propagation uint64) error {
	return c.do("mount_setattr", func() error {
		return unix.MountSetattr(number(tree), "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: set, Propagation: propagation})
	})
}

// moveTo attaches a detached mount at a path.
func (c calls) moveTo(tree *os.File, target string) error {
	return c.do("move_mount", func() error {
		return unix.MoveMount(number(tree), "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH)
	})
}

// moveOnto attaches a detached mount on an open directory.
func (c calls) moveOnto(tree, directory *os.File) error {
	return c.do("move_mount", func() error {
		return unix.MoveMount(number(tree), "", number(directory), "",
			unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
	})
}

// fileSystem makes a detached mount of a new file system. It stops at the first option that is refused.
func (c calls) fileSystem(fsType string, options []Option, attributes int) (*os.File, error) {
	context, err := c.open("fsopen", func() (int, error) { return unix.Fsopen(fsType, unix.FSOPEN_CLOEXEC) })
	if err != nil {
		return nil, err
	}
	defer func() { _ = context.Close() }()
	for _, option := range options {
		if err := c.configure(context, option); err != nil {
			return nil, err
		}
	}
	if err := c.create(context); err != nil {
		return nil, err
	}
	return c.open("fsmount", func() (int, error) {
		return unix.Fsmount(number(context), unix.FSMOUNT_CLOEXEC, attributes)
	})
}

// configure gives one option. Its error names the option, never the value.
func (c calls) configure(context *os.File, option Option) error {
	return c.do("fsconfig "+option.Name, func() error {
		if option.Flag {
			return unix.FsconfigSetFlag(number(context), option.Name)
		}
		return unix.FsconfigSetString(number(context), option.Name, option.Value)
	})
}

// create makes the superblock, which may take long. It is not repeated when interrupted: the context has failed then.
func (c calls) create(context *os.File) error {
	interrupted := false
	err := c.do("fsconfig create", func() error {
		err := unix.FsconfigCreate(number(context))
		if errors.Is(err, unix.EINTR) {
			interrupted = true
			return nil
		}
		return err
	})
	if interrupted {
		return fmt.Errorf("fsconfig create: %w", unix.EINTR)
	}
	return err
}

// unmount is umount2 without MNT_DETACH.
func (c calls) unmount(target string) error {
	return c.do("umount2", func() error { return unix.Unmount(target, unix.UMOUNT_NOFOLLOW) })
}

// isMountRoot says whether something is mounted at a path, without reading the mount table.
func (c calls) isMountRoot(target string) (bool, error) {
	var facts unix.Statx_t
	err := c.do("statx", func() error {
		flags := unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT | unix.AT_STATX_DONT_SYNC
		return unix.Statx(unix.AT_FDCWD, target, flags, 0, &facts)
	})
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return facts.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, err
}

// identity tells the mount, device and inode of an open directory, as the kernel knows them now, without asking a server.
func (c calls) identity(directory *os.File) (unix.Statx_t, error) {
	var facts unix.Statx_t
	err := c.do("statx", func() error {
		return unix.Statx(number(directory), "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC,
			unix.STATX_INO|unix.STATX_MNT_ID, &facts)
	})
	return facts, err
}

// look is identity of a path.
func (c calls) look(name string) (unix.Statx_t, error) {
	var facts unix.Statx_t
	err := c.do("statx", func() error {
		return unix.Statx(unix.AT_FDCWD, name, unix.AT_NO_AUTOMOUNT|unix.AT_STATX_DONT_SYNC, unix.STATX_INO, &facts)
	})
	return facts, err
}

// The OCFS2_IOC_INFO ioctl (fs/ocfs2/ocfs2_ioctl.h): the number, and of its request for the UUID the magic number, code,
// size, and the flag that says it was filled in.
const (
	ocfs2IoctlInfo   = 0x80106f05
	ocfs2InfoMagic   = 0x4F32494E
	ocfs2InfoUUID    = 5
	ocfs2InfoSize    = 49
	ocfs2InfoFilled  = 0x40000000
	ocfs2UUIDLength  = 32
	ocfs2UUIDMaxText = 33
)

// ocfs2Info is struct ocfs2_info_uuid; the kernel insists on a size of 49, without the padding at the end.
type ocfs2Info struct {
	magic, code, size, flags uint32
	text                     [ocfs2UUIDMaxText]byte
}

// ocfs2UUID asks OCFS2 for its UUID through any open directory (FACTS 7).
func (c calls) ocfs2UUID(directory *os.File) (string, error) {
	info := &ocfs2Info{magic: ocfs2InfoMagic, code: ocfs2InfoUUID, size: ocfs2InfoSize}
	requests := &[1]*ocfs2Info{info}
	argument := &struct {
		requests     *[1]*ocfs2Info
		count, zeros uint32
	}{requests, 1, 0}
	err := c.do("OCFS2_IOC_INFO", func() error {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(number(directory)), ocfs2IoctlInfo,
			uintptr(unsafe.Pointer(argument))) //nolint:gosec // an ioctl takes an address
		if errno != 0 {
			return errno
		}
		if info.flags&ocfs2InfoFilled == 0 {
			return unix.ENODATA
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return strings.ToUpper(string(info.text[:ocfs2UUIDLength])), nil
}

// absolute refuses what is not an absolute, clean path.
func absolute(name string) error {
	if !path.IsAbs(name) || path.Clean(name) != name {
		return fmt.Errorf("%q is not an absolute, clean path: %w", name, unix.EINVAL)
	}
	return nil
}
