package mounter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Users finds who has a target's directory mounted. A target that is not mounted has no users here, whoever may still hold
// a mount of it: bind it again first.
func (l *Linux) Users(ctx context.Context, targets []string) (map[string][]User, error) {
	var users map[string][]User
	err := l.guard.Do(ctx, "users", func() (err error) {
		users, err = l.users(targets)
		return err
	}, nil)
	if err != nil {
		return nil, asked(err, "users", "", strings.Join(targets, ", "))
	}
	return users, nil
}

func (l *Linux) users(targets []string) (map[string][]User, error) {
	own, err := l.readTable(Plugin)
	if err != nil {
		return nil, err
	}
	host, err := l.readTable(Host)
	if err != nil {
		return nil, err
	}
	others, err := l.otherViews()
	if err != nil {
		return nil, err
	}
	return findUsers(targets, own, host, others), nil
}

// view is a mount namespace as one of its processes sees it.
type view struct {
	pid   int
	name  string
	table []Mount
}

// otherViews reads the table of each mount namespace but the plugin's and the host's, once, through the process with the
// lowest number. A process that ends meanwhile is passed over for the next one of its namespace.
func (l *Linux) otherViews() ([]view, error) {
	seen, err := l.ownNamespaces()
	if err != nil {
		return nil, err
	}
	pids, err := l.processes()
	if err != nil {
		return nil, err
	}
	var views []view
	for _, pid := range pids {
		process := strconv.Itoa(pid)
		namespace, err := namespaceOf(l.proc, process)
		if ended(err) || seen[namespace] || pid == 1 && errors.Is(err, fs.ErrPermission) {
			continue // the first process may be unreadable (FACTS 1), and is the host's init, not a container
		}
		if err != nil {
			return nil, fmt.Errorf("process %d (the plugin needs CAP_SYS_PTRACE): %w", pid, err)
		}
		table, err := l.tableOf(process)
		if ended(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("process %d: %w", pid, err)
		}
		seen[namespace] = true
		views = append(views, view{pid: pid, name: l.commandName(process), table: table})
	}
	return views, nil
}

// ownNamespaces are the plugin's and the host's.
func (l *Linux) ownNamespaces() (map[string]bool, error) {
	seen := map[string]bool{}
	for _, process := range []string{"thread-self", strconv.Itoa(l.hostPID)} {
		namespace, err := namespaceOf(l.proc, process)
		if err != nil {
			return nil, fmt.Errorf("mount namespace of %s: %w", process, err)
		}
		seen[namespace] = true
	}
	return seen, nil
}

// processes are the numbers of all processes, lowest first.
func (l *Linux) processes() ([]int, error) {
	folder, err := os.Open(l.proc)
	if err != nil {
		return nil, err
	}
	defer func() { _ = folder.Close() }()
	names, err := folder.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}

func (l *Linux) commandName(process string) string {
	text, err := os.ReadFile(l.proc + "/" + process + "/comm")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// ended says that an error means that the process has no mount namespace any more: it is gone (ENOENT, ESRCH) or a zombie
// (ENOENT of its links, EINVAL of its mountinfo; fs/proc_namespace.c).
func ended(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL)
}
