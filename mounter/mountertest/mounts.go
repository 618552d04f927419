package mountertest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/homelab-storage/homelab-storage/mounter"
)

// Table is the mount table of a side, in the order in which the mounts were made.
func (k *Kernel) Table(ctx context.Context, side mounter.Side) ([]mounter.Mount, error) {
	var table []mounter.Mount
	err := k.call(ctx, Action{Op: OpTable, Side: side}, "", func() error {
		for _, m := range k.mounts {
			if m.side == side {
				table = append(table, m.line())
			}
			for _, mask := range m.masks {
				if m.side == side {
					table = append(table, m.maskLine(mask))
				}
			}
		}
		return nil
	}, nil)
	if err != nil { // a late answer may still be writing to table
		return nil, err
	}
	return table, nil
}

// line is the entry with the state of its file system.
func (m mount) line() mounter.Mount {
	entry := m.entry
	entry.ReadOnly = entry.ReadOnly || m.on.ReadOnly
	if entry.ReadOnly {
		entry.Options = strings.Replace(entry.Options, "rw", "ro", 1)
	}
	if m.on.ReadOnly {
		entry.SuperOptions = strings.Replace(entry.SuperOptions, "rw", "ro", 1)
	}
	return entry
}

func (m mount) maskLine(mask string) mounter.Mount {
	return mounter.Mount{
		ID: 10000 + m.entry.ID, Parent: m.entry.ID, Device: "0:39", Root: "/", Target: m.entry.Target + "/" + mask,
		FSType: "tmpfs", Source: "tmpfs", ReadOnly: true, Options: "ro,nosuid,nodev,noexec", SuperOptions: "ro,mode=000",
	}
}

// Filesystem tells what was given to MountHost, MountShare or MountTmpfs, or the root file system.
func (k *Kernel) Filesystem(ctx context.Context, place mounter.Place) (mounter.Filesystem, error) {
	var facts mounter.Filesystem
	action := Action{Op: OpFilesystem, Side: place.Side, Target: place.Path}
	err := k.call(ctx, action, placeKey("filesystem", place), func() error {
		if _, err := os.Stat(k.realPath(place)); err != nil {
			return errno(err)
		}
		covering := k.covering(place.Side, place.Path)
		facts = covering.on.facts(covering.entry.ReadOnly)
		return nil
	}, nil)
	if err != nil {
		return mounter.Filesystem{}, err
	}
	return facts, nil
}

// Bind links the target to the directory.
func (k *Kernel) Bind(ctx context.Context, bind mounter.Bind) error {
	var made bool
	action := Action{
		Op: OpBind, Side: bind.Base.Side, Source: filepath.Join(bind.Base.Path, bind.Subdir), Target: bind.Target,
		ReadOnly: bind.ReadOnly, Mask: slices.Clone(bind.Mask),
	}
	return k.call(ctx, action, targetKey(bind.Target), func() (err error) {
		made, err = k.bind(bind)
		return err
	}, func() { k.undo(made, bind.Target) })
}

// bind says whether it made a mount, or found an identical one.
func (k *Kernel) bind(bind mounter.Bind) (bool, error) {
	directory, covering, err := k.source(bind)
	if err != nil {
		return false, err
	}
	below := strings.TrimPrefix(bind.Base.Path, covering.entry.Target)
	root := filepath.Join("/", covering.entry.Root, below, bind.Subdir)
	if index := k.topmost(mounter.Plugin, bind.Target); index >= 0 {
		there := k.mounts[index]
		same := there.on == covering.on && there.entry.Root == root && (len(bind.Mask) == 0 || slices.Equal(there.masks, bind.Mask))
		if same && there.entry.ReadOnly == bind.ReadOnly {
			return false, nil
		}
		return false, unix.EEXIST
	}
	return true, k.add(mounter.Plugin, bind.Target, covering.on, directory, root, bind.ReadOnly, slices.Clone(bind.Mask))
}

// source reaches the directory of a bind, and the mount that has it.
func (k *Kernel) source(bind mounter.Bind) (directory string, covering mount, err error) {
	base := k.realPath(bind.Base)
	if base, _ = filepath.EvalSymlinks(base); base == "" {
		return "", mount{}, unix.ENOENT
	}
	if directory, err = beneath(base, bind.Subdir); err != nil {
		return "", mount{}, err
	}
	for _, mask := range bind.Mask {
		if _, err := beneath(directory, mask); err != nil {
			return "", mount{}, err
		}
	}
	covering = k.covering(bind.Base.Side, bind.Base.Path)
	if bind.Device != "" && bind.Device != covering.entry.Device {
		return "", mount{}, unix.EXDEV
	}
	return directory, covering, nil
}

// beneath walks as openat2(RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS) does.
func beneath(base, subdir string) (string, error) {
	if filepath.IsAbs(subdir) {
		return "", unix.EXDEV
	}
	directory := base
	for name := range strings.SplitSeq(subdir, "/") {
		if name == ".." {
			return "", unix.EXDEV
		}
		directory = filepath.Join(directory, name)
		info, err := os.Lstat(directory)
		switch {
		case err != nil:
			return "", errno(err)
		case info.Mode()&os.ModeSymlink != 0:
			return "", unix.ELOOP
		case !info.IsDir():
			return "", unix.ENOTDIR
		}
	}
	return directory, nil
}

// MountShare mounts a cifs file system; two mounts of one source show the same files, and are one file system unless one of them has
// the option nosharesock. Faults stand for what a server or
// the kernel refuses.
func (k *Kernel) MountShare(ctx context.Context, share mounter.Share) error {
	action := Action{Op: OpMountShare, Side: mounter.Plugin, Source: share.Source, Target: share.Target, Share: &share}
	return k.call(ctx, action, targetKey(share.Target), func() error {
		if k.topmost(mounter.Plugin, share.Target) >= 0 {
			return unix.EEXIST
		}
		on := k.open(FileSystem{Type: "cifs", Source: share.Source, SuperOptions: superOptions(share)})
		if slices.ContainsFunc(share.Options, func(option mounter.Option) bool { return option.Name == "nosharesock" }) {
			on = k.apart(on)
		}
		return k.add(mounter.Plugin, share.Target, on, on.directory, "/", false, nil)
	}, func() { k.undo(true, share.Target) })
}

// apart is another file system with the same files.
func (k *Kernel) apart(on *contents) *contents {
	other := *on
	k.lastMinor++
	other.device = fmt.Sprintf("0:%d", 40+k.lastMinor)
	return &other
}

// superOptions are the kernel's words for a share's options, as far as anybody reads them: where the server is, an IPv6 address
// with all its zeros (%pI6).
func superOptions(share mounter.Share) string {
	for _, option := range share.Options {
		if address, err := netip.ParseAddr(option.Value); option.Name == "ip" && err == nil {
			return "rw,addr=" + address.StringExpanded()
		}
	}
	return "rw"
}

// ShareFiles is the folder with the files of an SMB share, mounted or not.
func (k *Kernel) ShareFiles(source string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.open(FileSystem{Type: "cifs", Source: source}).directory
}

// MountTmpfs mounts an empty file system.
func (k *Kernel) MountTmpfs(ctx context.Context, spec mounter.Tmpfs) error {
	action := Action{Op: OpMountTmpfs, Side: mounter.Plugin, Target: spec.Target, Tmpfs: &spec, ReadOnly: spec.ReadOnly}
	return k.call(ctx, action, targetKey(spec.Target), func() error {
		if k.topmost(mounter.Plugin, spec.Target) >= 0 {
			return unix.EEXIST
		}
		size := uint64(spec.Size)
		on := k.open(FileSystem{Type: "tmpfs", Size: size, Available: size})
		on.Source = "tmpfs"
		k.must(unix.Chmod(on.directory, uint32(spec.Mode)&0o7777))
		return k.add(mounter.Plugin, spec.Target, on, on.directory, "/", spec.ReadOnly, nil)
	}, func() { k.undo(true, spec.Target) })
}

// Unmount takes the topmost mount at a target away. A folder that the mount covered and that has files stays, with
// ENOTEMPTY.
func (k *Kernel) Unmount(ctx context.Context, target string) error {
	action := Action{Op: OpUnmount, Side: mounter.Plugin, Target: target}
	return k.call(ctx, action, targetKey(target), func() error { return k.unmount(target) }, nil)
}

func (k *Kernel) unmount(target string) error {
	path := k.PluginPath(target)
	if index := k.topmost(mounter.Plugin, target); index >= 0 {
		if k.busy[target] || k.mountBelow(target) {
			return unix.EBUSY
		}
		k.detach(index)
		if k.topmost(mounter.Plugin, target) >= 0 {
			return nil
		}
	}
	if err := unix.Rmdir(path); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return nil
}

func (k *Kernel) mountBelow(target string) bool {
	return slices.ContainsFunc(k.mounts, func(m mount) bool {
		return m.side == mounter.Plugin && m.entry.Target != target && below(m.entry.Target, target)
	})
}

// undo takes a late success back.
func (k *Kernel) undo(made bool, target string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if made {
		k.actions = append(k.actions, Action{Op: OpUndo, Side: mounter.Plugin, Target: target})
		k.must(k.unmount(target))
	}
}
