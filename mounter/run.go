package mounter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of a program of the host.
const (
	defaultLimit = 30 * time.Second
	outputLimit  = 64 << 10 // of each stream, as given to the caller
	fileLimit    = 16 << 20 // of each stream, as a program may write it; a write beyond it fails
)

// searchPath is where programs are looked for, in this order, and what they get as PATH.
const searchPath = "/usr/sbin:/usr/bin:/sbin:/bin"

// packageOf says which Debian package has a program.
func packageOf(program string) string {
	name, ok := map[string]string{
		"iscsiadm": "open-iscsi", "mount.ocfs2": "ocfs2-tools", "tunefs.ocfs2": "ocfs2-tools", "mkfs.ocfs2": "ocfs2-tools",
		"ocfs2_hb_ctl": "ocfs2-tools", "fsck.ocfs2": "ocfs2-tools", "mounted.ocfs2": "ocfs2-tools", "o2cb": "ocfs2-tools", "getent": "libc-bin",
		"blkid": "util-linux", "mount": "mount", "umount": "mount", "modprobe": "kmod", "udevadm": "udev",
		"systemctl": "systemd",
	}[program]
	if !ok {
		return ""
	}
	return " (Debian: apt install " + name + ")"
}

// Run runs a program in the host's mount namespace and root cgroup. Its output goes to memory files, so that it is not
// disturbed when this process ends.
func (l *Linux) Run(ctx context.Context, command Command) (Output, error) {
	var output Output
	key := "run " + command.Name + " " + strings.Join(command.Args, " ")
	err := l.guard.Do(ctx, key, func() error {
		return l.onHost(func() (err error) {
			output, err = l.run(command)
			return err
		})
	}, nil)
	if err != nil {
		return Output{}, asked(err, "run", "", command.Name)
	}
	return output, nil
}

// run runs on a thread of the host's namespace, from which the child inherits it.
func (l *Linux) run(command Command) (Output, error) {
	program, err := findProgram(command.Name)
	if err != nil {
		return Output{}, err
	}
	stdout, err := l.memoryFile("stdout")
	if err != nil {
		return Output{}, err
	}
	defer func() { _ = stdout.Close() }()
	stderr, err := l.memoryFile("stderr")
	if err != nil {
		return Output{}, err
	}
	defer func() { _ = stderr.Close() }()
	child, err := l.startOutside(func(arguments ...string) *exec.Cmd {
		return &exec.Cmd{
			Path: arguments[0], Args: arguments, Dir: "/", Stdout: stdout, Stderr: stderr,
			Env: []string{"PATH=" + searchPath, "LC_ALL=C"}, SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
		}
	}, append([]string{program}, command.Args...))
	if err != nil {
		return Output{}, err
	}
	code, err := waitFor(child, command.Limit)
	if err != nil {
		return Output{}, err
	}
	return collect(stdout, stderr, code)
}

// findProgram looks for an executable file.
func findProgram(name string) (string, error) {
	if name == "" || strings.Contains(name, "/") {
		return "", fmt.Errorf("%q is not the name of a program: %w", name, unix.EINVAL)
	}
	for folder := range strings.SplitSeq(searchPath, ":") {
		program := path.Join(folder, name)
		info, err := os.Stat(program)
		if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
			return program, nil
		}
	}
	return "", fmt.Errorf("the host has no program %s in %s%s: %w", name, searchPath, packageOf(name), unix.ENOENT)
}

// memoryFile makes a file in memory that cannot grow beyond its limit.
func (l *Linux) memoryFile(name string) (*os.File, error) {
	file, err := l.calls.open("memfd_create", func() (int, error) {
		return unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	})
	if err != nil {
		return nil, err
	}
	if err := file.Truncate(fileLimit); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if _, err := unix.FcntlInt(uintptr(number(file)), unix.F_ADD_SEALS, unix.F_SEAL_GROW); err != nil {
		return nil, errors.Join(fmt.Errorf("seal: %w", err), file.Close())
	}
	return file, nil
}

// waitFor waits for a child and kills its process group at the limit.
func waitFor(child *exec.Cmd, limit time.Duration) (int, error) {
	if limit == 0 {
		limit = defaultLimit
	}
	killed := make(chan struct{})
	timer := time.AfterFunc(limit, func() {
		close(killed)
		_ = unix.Kill(-child.Process.Pid, unix.SIGKILL)
	})
	err := child.Wait()
	if !timer.Stop() {
		<-killed
		return 0, fmt.Errorf("it was killed after %s: %w", limit, unix.ETIMEDOUT)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return 0, fmt.Errorf("it was ended by a signal (%s): %w", status.Signal(), err)
		}
		return exit.ExitCode(), nil
	}
	return 0, err
}

// collect reads what was written: the files' offsets are shared with the child.
func collect(stdout, stderr *os.File, code int) (Output, error) {
	output := Output{Code: code}
	for file, text := range map[*os.File]*string{stdout: &output.Stdout, stderr: &output.Stderr} {
		size, err := file.Seek(0, io.SeekCurrent)
		if err != nil {
			return Output{}, err
		}
		end, err := endOf(file, size)
		if err != nil {
			return Output{}, err
		}
		*text = string(bytes.ToValidUTF8(end, []byte("?")))
	}
	return output, nil
}

// endOf is a short text as it is, and of a long one the last lines, as many as fit: what a program has to say of its result,
// and what has just happened in a log, stands at the end. Of a last line that does not fit, it is the end.
func endOf(file io.ReaderAt, size int64) ([]byte, error) {
	start := max(0, size-outputLimit)
	buffer := make([]byte, size-start)
	if _, err := file.ReadAt(buffer, start); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if start == 0 {
		return buffer, nil
	}
	if _, lines, _ := bytes.Cut(buffer, []byte("\n")); len(lines) > 0 {
		return lines, nil
	}
	return buffer, nil
}
