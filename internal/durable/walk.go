package durable

import (
	"errors"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// beneath has the kernel walk to a folder without leaving the one it starts from: no "..", symbolic link or mount leads out.
func beneath() *unix.OpenHow {
	return &unix.OpenHow{Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV}
}

// openFolder opens a folder in one system call, however many folders are on the way.
func openFolder(from int, name string, how *unix.OpenHow) (folder int, err error) {
	how.Flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC
	err = again(func() error {
		folder, err = unix.Openat2(from, name, how)
		return err
	})
	switch {
	case how.Resolve == 0:
	case errors.Is(err, unix.ELOOP):
		err = ErrLink
	case errors.Is(err, unix.EXDEV):
		err = ErrMount
	}
	return folder, err
}

// openAt opens a name in a folder, never through a symbolic link.
func openAt(folder int, base string, flags int) (file int, err error) {
	err = again(func() error {
		file, err = unix.Openat(folder, base, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(fileMode))
		return err
	})
	if errors.Is(err, unix.ELOOP) {
		err = ErrLink
	}
	return file, err
}

// statAt looks at a name in a folder, not at what a symbolic link leads to.
func statAt(folder int, base string) (seen unix.Stat_t, err error) {
	err = again(func() error { return unix.Fstatat(folder, base, &seen, unix.AT_SYMLINK_NOFOLLOW) })
	return seen, err
}

// again repeats a call that a signal interrupted: the runtime sends some.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// at lends the folder's descriptor, which stays open meanwhile.
func (d *Dir) at(work func(folder int) error) error {
	connection, err := d.file.SyscallConn()
	if err != nil {
		return err
	}
	if lost := connection.Control(func(descriptor uintptr) { err = work(int(descriptor)) }); lost != nil {
		return os.ErrClosed
	}
	return err
}

// in is at for the folder that a name is in, and gives the name's last part.
func (d *Dir) in(name string, work func(folder int, base string) error) error {
	return d.at(func(folder int) error {
		above, base := path.Dir(name), path.Base(name)
		if above == "." {
			return work(folder, base)
		}
		opened, err := openFolder(folder, above, beneath())
		if err != nil {
			return err
		}
		return errors.Join(work(opened, base), unix.Close(opened))
	})
}
