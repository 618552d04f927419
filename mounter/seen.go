package mounter

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrUnseen says that the engine does not see what was mounted at a target, so that a container would get the empty folder below it
// and write to the host's root disk. The engine makes the folder that it shares with a managed plugin a shared mount when it starts the
// plugin, and takes all mounts of a plugin away when that has ended: at the same time, after it was killed itself (moby
// plugin/manager.go, HandleExitEvent). A plugin that is started again gets a new shared mount.
var ErrUnseen = errors.New("the engine does not see what the plugin mounts")

// seen makes sure that what is mounted at a target is there for the engine too. Neither a server nor a disk is asked.
func (l *Linux) seen(target string) error {
	if l.plain || !below(target, l.targetRoot) {
		return nil
	}
	inside, err := l.calls.look(target)
	if err != nil {
		return err
	}
	for _, anew := range []bool{false, true} {
		folder, err := l.outside(anew)
		if err != nil {
			return err
		}
		outside, err := l.calls.look(path.Join(folder, strings.TrimPrefix(target, l.targetRoot)))
		switch {
		case err == nil && sameMount(inside, outside):
			return nil
		case err != nil && !errors.Is(err, unix.ENOENT):
			return err
		}
	}
	return ErrUnseen
}

func below(name, folder string) bool { return strings.HasPrefix(name, folder+"/") }

// shown is the end of a mount for containers: one that the engine does not see is taken back.
func (l *Linux) shown(made bool, err error, target string) error {
	if err != nil {
		return err
	}
	if err := l.seen(target); err != nil {
		if made {
			return errors.Join(err, l.unmount(target))
		}
		return err
	}
	return nil
}

// sameMount says whether the root of one mount was found twice, and not the bare folder below it.
func sameMount(a, b unix.Statx_t) bool {
	return a.Attributes&b.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 && a.Ino == b.Ino && a.Dev_major == b.Dev_major && a.Dev_minor == b.Dev_minor
}

// outside is where this process finds the host's view of the target root. It is searched for once, and anew when it does not fit.
func (l *Linux) outside(anew bool) (string, error) {
	if known := l.rootOutside.Load(); known != nil && !anew {
		return *known, nil
	}
	own, err := l.readTable(Plugin)
	if err != nil {
		return "", err
	}
	host, err := l.readTable(Host)
	if err != nil {
		return "", err
	}
	name, ok := peerPath(own, host, l.targetRoot)
	if !ok {
		return "", ErrUnseen
	}
	name = fmt.Sprintf("%s/%d/root%s", l.proc, l.hostPID, name)
	l.rootOutside.Store(&name)
	return name, nil
}

// peerPath is where the host has the directory of a path of the plugin, on a mount of the same peer group: the folder that the engine
// shares, or one that holds it, such as a shared / under which the engine's own mount was taken away.
func peerPath(own, host []Mount, name string) (string, bool) {
	here, ok := coveringMount(own, name)
	if !ok || here.Peer == 0 {
		return "", false
	}
	within := path.Join(here.Root, strings.TrimPrefix(name, here.Target))
	found, nearest := "", -1
	for _, there := range host {
		root := strings.TrimSuffix(there.Root, "/")
		rest, ok := strings.CutPrefix(within+"/", root+"/")
		if ok && there.Peer == here.Peer && len(root) > nearest && !covered(host, there) {
			found, nearest = path.Join(there.Target, rest), len(root)
		}
	}
	return found, nearest >= 0
}
