package mounter

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// onThread runs work on a thread that nothing else uses any more: it ends when work returns, with whatever work did to its
// namespaces. The calling goroutine must end soon after, as a guarded one does.
//
// The process's first thread cannot end, and /proc/self shows its namespaces for good, so it is kept out (FACTS 1): while it
// is held here, the work runs on another one.
func onThread(work func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if unix.Gettid() != unix.Getpid() {
			done <- work()
			return
		}
		err := onThread(work)
		runtime.UnlockOSThread()
		done <- err
	}()
	return <-done
}

// onHost runs work on a thread of the host's mount namespace.
func (l *Linux) onHost(work func() error) error {
	if l.plain {
		return work()
	}
	return onThread(func() error {
		err := l.calls.do("unshare", func() error { return unix.Unshare(unix.CLONE_FS) })
		if err != nil {
			return err
		}
		err = l.calls.do("setns", func() error { return unix.Setns(number(l.hostNamespace), unix.CLONE_NEWNS) })
		if err != nil {
			return err
		}
		return work()
	})
}

// onSide runs work where a place's path means what it says.
func (l *Linux) onSide(side Side, work func() error) error {
	if side == Host {
		return l.onHost(work)
	}
	return work()
}

// inPrivate runs work on a thread with a mount namespace of its own, in which nothing propagates to or from others; the
// mounts that work makes and does not carry out are gone with the thread, also after SIGKILL.
func (l *Linux) inPrivate(work func() error) error {
	return onThread(func() error {
		err := l.calls.do("unshare", func() error { return unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS) })
		if err != nil {
			return err
		}
		err = l.calls.do("mount private", func() error {
			return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		})
		if err != nil {
			return err
		}
		return work()
	})
}

// openNamespace opens a process's mount namespace, which stays reachable when the process ends.
func openNamespace(pid int) (*os.File, error) {
	name := fmt.Sprintf("/proc/%d/ns/mnt", pid)
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("the host's mount namespace cannot be entered (the plugin needs pidhost and CAP_SYS_PTRACE): %w", err)
	}
	return file, nil
}

// namespaceOf names a process's mount namespace, for example mnt:[4026531841].
func namespaceOf(proc, pid string) (string, error) {
	return os.Readlink(proc + "/" + pid + "/ns/mnt")
}
