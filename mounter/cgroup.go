package mounter

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strconv"

	"golang.org/x/sys/unix"
)

// startOutside starts a child in the host's root cgroups: what runs in the plugin's own is killed with it (FACTS 1). With
// cgroup v2 alone the child is born there. With v1 hierarchies, or where the root takes no processes (a nested host), a
// shell waits for a line, is moved into each hierarchy's root, or a leaf of it, and then becomes the program.
func (l *Linux) startOutside(build func(...string) *exec.Cmd, arguments []string) (*exec.Cmd, error) {
	if l.ownCgroup {
		child := build(arguments...)
		return child, l.calls.do("clone", child.Start)
	}
	roots, unified, err := l.cgroupRoots()
	if err != nil {
		return nil, err
	}
	if unified != "" && len(roots) == 1 {
		child := build(arguments...)
		born, err := l.startIn(child, unified)
		if born || err != nil {
			return child, err
		}
	}
	const script = `read -r line && exec "$@" </dev/null`
	child := build(append([]string{"/bin/sh", "-c", script, "sh"}, arguments...)...)
	return child, l.startAndMove(child, roots)
}

// cgroupRoots are the mount points of the host's hierarchies; unified is that of v2.
func (l *Linux) cgroupRoots() (roots []string, unified string, err error) {
	table, err := l.readTable(Host)
	if err != nil {
		return nil, "", err
	}
	for _, mount := range table {
		switch mount.FSType {
		case "cgroup2":
			unified = mount.Target
			roots = append(roots, mount.Target)
		case "cgroup":
			roots = append(roots, mount.Target)
		}
	}
	return roots, unified, nil
}

// startIn starts the child in a cgroup; born is false when that cgroup cannot take it.
func (l *Linux) startIn(child *exec.Cmd, root string) (born bool, err error) {
	folder, err := l.calls.directory(root)
	if err != nil {
		return false, nil // the other way is tried
	}
	defer func() { _ = folder.Close() }()
	child.SysProcAttr.UseCgroupFD, child.SysProcAttr.CgroupFD = true, number(folder)
	err = l.calls.do("clone", child.Start)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM), errors.Is(err, unix.EOPNOTSUPP):
		return false, nil
	default:
		return false, err
	}
}

// startAndMove starts a shell, moves it, and lets it become the program. When this process dies in between, the shell reads
// the end of its input and runs nothing.
func (l *Linux) startAndMove(child *exec.Cmd, roots []string) error {
	input, release, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = release.Close() }()
	child.Stdin = input
	err = l.calls.do("clone", child.Start)
	_ = input.Close()
	if err != nil {
		return err
	}
	for _, root := range roots {
		if err := l.moveOutside(child.Process.Pid, root); err != nil {
			_ = release.Close()
			return errors.Join(err, child.Wait())
		}
	}
	_, err = release.WriteString("go\n")
	return err
}

// moveOutside puts a process into a hierarchy's root. The root of a nested host (systemd in a container, LXC, kind) is an inner
// cgroup to the kernel, which takes no processes while controllers are enabled in it (EBUSY, cgroups(7) "no internal
// processes"): there a leaf of it does.
func (l *Linux) moveOutside(pid int, root string) error {
	err := l.moveProcess(pid, root)
	if !errors.Is(err, unix.EBUSY) {
		return err
	}
	leaf, err := l.leafOf(root)
	if err != nil {
		return fmt.Errorf("%s takes no processes, and no cgroup for them can be made in it: %w", root, err)
	}
	return l.moveProcess(pid, leaf)
}

// Cgroups below the root of a nested host that hold processes only, and that nobody ends.
const (
	initScope = "init.scope"      // of a systemd: its own process is in it (org.freedesktop.systemd1(5))
	ourLeaf   = "homelab-storage" // where there is no systemd
)

// leafOf finds such a cgroup, or makes one.
func (l *Linux) leafOf(root string) (string, error) {
	leaf := path.Join(root, initScope)
	if info, err := os.Stat(leaf); err == nil && info.IsDir() {
		return leaf, nil
	}
	leaf = path.Join(root, ourLeaf)
	err := l.calls.do("mkdir", func() error { return os.Mkdir(leaf, 0o755) })
	if err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return leaf, nil
}

// moveProcess puts a process into a cgroup.
func (l *Linux) moveProcess(pid int, group string) error {
	return l.calls.do("cgroup.procs", func() error {
		file, err := os.OpenFile(path.Join(group, "cgroup.procs"), os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = file.WriteString(strconv.Itoa(pid))
		if err = errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("%s: %w", group, err)
		}
		return nil
	})
}
