package mounter

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

// MaskSource is how a mask shows in mount tables. The unit that unmounts the pools at shutdown knows masks by it, too.
const MaskSource = "homelab-storage-mask"

// maskAttributes make a mask inert.
const maskAttributes = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC

// masked puts masks on a detached tree and gives a clone of both, detached too, so that the target never shows what is
// masked. Kernels before 6.15 attach nothing to a detached tree; so it is attached in a mount namespace that is the
// thread's own and is gone a moment later.
func (l *Linux) masked(tree *os.File, names []string) (*os.File, error) {
	var result *os.File
	err := l.inPrivate(func() error {
		if err := l.calls.moveTo(tree, "/proc"); err != nil { // any folder will do; nobody else sees it
			return err
		}
		for _, name := range names {
			if err := l.mask(tree, name); err != nil {
				return err
			}
		}
		var err error
		result, err = l.calls.clone(tree, unix.AT_RECURSIVE)
		return err
	})
	return result, err
}

// mask covers one directory of a mount.
func (l *Linux) mask(tree *os.File, name string) error {
	directory, err := l.calls.beneath(tree, name)
	if err != nil {
		return fmt.Errorf("mask %s: %w", name, err)
	}
	defer func() { _ = directory.Close() }()
	cover, err := l.calls.fileSystem("tmpfs", []Option{
		{Name: "source", Value: MaskSource}, {Name: "size", Value: "4k"}, {Name: "nr_inodes", Value: "2"}, {Name: "mode", Value: "000"},
	}, maskAttributes)
	if err != nil {
		return fmt.Errorf("mask %s: %w", name, err)
	}
	defer func() { _ = cover.Close() }()
	return l.calls.moveOnto(cover, directory)
}

// masksOn are the masks on a mount of the plugin's namespace, by their targets.
func masksOn(on Mount, table []Mount) []string {
	var targets []string
	for _, mount := range table {
		if mount.Parent == on.ID && mount.FSType == "tmpfs" && mount.Source == MaskSource {
			targets = append(targets, mount.Target)
		}
	}
	return targets
}

// masksAsked checks that a bind which is already there has exactly the asked masks.
func masksAsked(masks []string, bind Bind) error {
	wanted := make([]string, 0, len(bind.Mask))
	for _, name := range bind.Mask {
		wanted = append(wanted, path.Join(bind.Target, name))
	}
	slices.Sort(masks)
	slices.Sort(wanted)
	if !slices.Equal(masks, wanted) {
		return fmt.Errorf("it is mounted there already, with masks %q instead of %q; unmount it first: %w", masks, wanted, unix.EEXIST)
	}
	return nil
}

// uncover takes masks away. When it fails it puts those back that it took.
func (l *Linux) uncover(target string, masks []string) error {
	for index, mask := range masks {
		if err := l.calls.unmount(mask); err != nil {
			return errors.Join(err, l.cover(target, masks[:index]))
		}
	}
	return nil
}

// cover puts masks back on a mount that stays.
func (l *Linux) cover(target string, masks []string) error {
	if len(masks) == 0 {
		return nil
	}
	tree, err := l.calls.directory(target)
	if err != nil {
		return err
	}
	defer func() { _ = tree.Close() }()
	for _, mask := range masks {
		if err := l.mask(tree, path.Base(mask)); err != nil {
			return err
		}
	}
	return nil
}
