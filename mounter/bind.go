package mounter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Bind attaches a clone of a directory's mount at the target.
func (l *Linux) Bind(ctx context.Context, bind Bind) error {
	source := path.Join(bind.Base.Path, bind.Subdir)
	if err := checkBind(bind); err != nil {
		return asked(err, "bind", source, bind.Target)
	}
	made := false
	err := l.guard.Do(ctx, targetKey(bind.Target), func() (err error) {
		made, err = l.bind(bind)
		return l.shown(made, err, bind.Target)
	}, func() { l.undo(made, bind.Target) })
	return asked(err, "bind", source, bind.Target)
}

func checkBind(bind Bind) error {
	if err := absolute(bind.Base.Path); err != nil {
		return err
	}
	if err := absolute(bind.Target); err != nil {
		return err
	}
	for _, mask := range bind.Mask {
		if mask == "" || mask == "." || mask == ".." || strings.Contains(mask, "/") {
			return fmt.Errorf("mask %q is not the name of a directory: %w", mask, unix.EINVAL)
		}
	}
	return nil
}

// bind says whether it made a mount, or found an identical one.
func (l *Linux) bind(bind Bind) (bool, error) {
	occupied, err := l.calls.isMountRoot(bind.Target)
	if err != nil {
		return false, err
	}
	if occupied { // nothing is cloned: giving a clone up costs a grace period of the kernel
		return false, l.identical(bind)
	}
	cloned, err := l.cloneSource(bind)
	if err != nil {
		return false, err
	}
	defer func() { _ = cloned.Close() }()
	tree := cloned
	if len(bind.Mask) > 0 {
		if tree, err = l.masked(cloned, bind.Mask); err != nil {
			return false, err
		}
		defer func() { _ = tree.Close() }()
	}
	return true, l.attach(tree, bind.Target)
}

// source is what tells a directory apart.
type source struct {
	facts    unix.Statx_t
	readOnly bool // its mount, or by request
}

// atSource reaches the directory in its own namespace.
func (l *Linux) atSource(bind Bind, work func(directory *os.File) error) error {
	return l.onSide(bind.Base.Side, func() error {
		base, err := l.calls.directory(bind.Base.Path)
		if err != nil {
			return err
		}
		defer func() { _ = base.Close() }()
		if err := l.stillThere(base, bind); err != nil {
			return err
		}
		directory, err := l.calls.beneath(base, bind.Subdir)
		if err != nil {
			return err
		}
		defer func() { _ = directory.Close() }()
		return work(directory)
	})
}

// stillThere says that what was proven has been unmounted since: below it is a folder of the root disk.
func (l *Linux) stillThere(base *os.File, bind Bind) error {
	if bind.Device == "" {
		return nil
	}
	facts, err := l.calls.identity(base)
	if err == nil && superblock(facts) != bind.Device {
		err = fmt.Errorf("%s is not the file system any more that was there a moment ago: %w", bind.Base.Path, unix.EXDEV)
	}
	return err
}

func (l *Linux) lookAtSource(bind Bind) (source, error) {
	var asked source
	err := l.atSource(bind, func(directory *os.File) (err error) {
		if asked.facts, err = l.calls.identity(directory); err == nil {
			asked.readOnly, err = l.readOnlyMount(directory)
		}
		return err
	})
	asked.readOnly = asked.readOnly || bind.ReadOnly
	return asked, err
}

// cloneSource clones the directory's mount. The clone is detached and leaves its source's peer group, so that what is mounted on it,
// as a mask, never shows on the pool itself.
func (l *Linux) cloneSource(bind Bind) (*os.File, error) {
	var tree *os.File
	err := l.atSource(bind, func(directory *os.File) (err error) {
		tree, err = l.calls.clone(directory, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	attributes := uint64(0)
	if bind.ReadOnly {
		attributes = unix.MOUNT_ATTR_RDONLY
	}
	if err := l.calls.setAttributes(tree, attributes, unix.MS_PRIVATE); err != nil {
		return nil, errors.Join(err, tree.Close())
	}
	return tree, nil
}

// readOnlyMount asks statfs whether a mount, or its superblock, is read-only.
func (l *Linux) readOnlyMount(directory *os.File) (bool, error) {
	facts, err := l.statfs(directory)
	return facts.Flags&unix.ST_RDONLY != 0, err
}

// mountAt finds what is mounted at a target of the plugin's namespace, with the targets of its masks. The table is read once: it is
// long on a node with many volumes.
func (l *Linux) mountAt(target string) (there Mount, masks []string, occupied bool, err error) {
	if occupied, err := l.calls.isMountRoot(target); !occupied || err != nil {
		return Mount{}, nil, false, err
	}
	table, err := l.readTable(Plugin)
	if err != nil {
		return Mount{}, nil, false, err
	}
	there, occupied = topmostAt(table, target)
	return there, masksOn(there, table), occupied, nil
}

// identical is nil when the directory that is mounted at the target is the asked one, in the asked way. Only masks and errors need the
// mount table, which is long on a node with many volumes.
func (l *Linux) identical(bind Bind) error {
	asked, err := l.lookAtSource(bind)
	if err != nil {
		return err
	}
	same, readOnly, err := l.mounted(bind.Target, asked)
	if err != nil || same && readOnly == asked.readOnly && len(bind.Mask) == 0 {
		return err
	}
	there, masks, _, err := l.mountAt(bind.Target)
	switch {
	case err != nil:
		return err
	case !same:
		return fmt.Errorf("%s of %s (%s) is mounted there already; unmount it first: %w", there.Root, there.Source, there.FSType, unix.EEXIST)
	case readOnly != asked.readOnly:
		return fmt.Errorf("it is mounted there already, but not read-only as asked for (read-only %t, asked %t); unmount it first: %w",
			readOnly, asked.readOnly, unix.EEXIST)
	}
	return masksAsked(masks, bind)
}

// mounted says whether a directory is what is mounted at a target, and then whether that is read-only. Another file system there is not
// asked: it may hang.
func (l *Linux) mounted(target string, directory source) (same, readOnly bool, err error) {
	there, err := l.calls.directory(target)
	if err != nil {
		return false, false, err
	}
	defer func() { _ = there.Close() }()
	facts, err := l.calls.identity(there)
	same = facts.Ino == directory.facts.Ino && facts.Dev_major == directory.facts.Dev_major && facts.Dev_minor == directory.facts.Dev_minor
	if err != nil || !same {
		return false, false, err
	}
	readOnly, err = l.readOnlyMount(there)
	return same, readOnly, err
}

// attach makes the target's folder and puts a detached tree there. A folder that was made is removed again on failure.
func (l *Linux) attach(tree *os.File, target string) error {
	made, err := l.makeFolder(target)
	if err != nil {
		return err
	}
	if err := l.calls.moveTo(tree, target); err != nil {
		if made {
			return errors.Join(err, l.removeFolder(target))
		}
		return err
	}
	return nil
}

// makeFolder makes a target's folder, root's only: nobody shall write into it while nothing is mounted there. One with files is refused:
// a mount would hide what somebody wrote there.
func (l *Linux) makeFolder(target string) (made bool, err error) {
	err = l.calls.do("mkdir", func() error {
		if err := os.MkdirAll(path.Dir(target), 0o755); err != nil {
			return err
		}
		err := os.Mkdir(target, 0o700)
		made = err == nil
		if errors.Is(err, os.ErrExist) {
			return l.needEmpty(target)
		}
		return err
	})
	return made, err
}

func (l *Linux) needEmpty(target string) error {
	if files, err := hasFiles(target); err != nil || !files {
		return err
	}
	return l.notEmpty(target)
}

// notEmpty says of the folder below a mount that there are files in it, and where a person finds it.
func (l *Linux) notEmpty(target string) error {
	where := target
	if root, err := l.outside(false); err == nil && !l.plain && below(target, l.targetRoot) {
		where = strings.TrimPrefix(path.Join(root, strings.TrimPrefix(target, l.targetRoot)), fmt.Sprintf("%s/%d/root", l.proc, l.hostPID))
	}
	return &FilesError{Folder: where}
}

// undo takes a mount back that succeeded after its caller had given up.
func (l *Linux) undo(made bool, target string) {
	if !made {
		return
	}
	log := l.log.WithField("target", target)
	if err := l.unmount(target); err != nil {
		log.WithError(err).Error("a mount that came too late cannot be taken back")
		return
	}
	log.Warn("a mount came too late and was taken back")
}

func targetKey(target string) string { return "target " + target }
