package mounter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// Occupants says who keeps a file system of the host from being unmounted or checked. Paths are compared as text: the file
// system itself is not touched, since it may hang.
func (l *Linux) Occupants(ctx context.Context, name, device string) ([]User, error) {
	var found []User
	err := l.guard.Do(ctx, "occupants", func() error {
		occupants, err := l.occupants(name, device)
		found = occupants
		return err
	}, nil)
	if err != nil { // a late answer may still be writing to found
		return nil, asked(err, "occupants", device, name)
	}
	return found, nil
}

func (l *Linux) occupants(name, device string) ([]User, error) {
	var found []User
	if name != "" {
		opened, err := l.openers(path.Clean(name))
		if err != nil {
			return nil, err
		}
		found = opened
	}
	if device == "" {
		return found, nil
	}
	views, err := l.allViews()
	if err != nil {
		return nil, err
	}
	for _, view := range views {
		for _, mount := range view.table {
			if mount.Device == device || mount.Source == device {
				found = append(found, User{PID: view.pid, Name: view.name, Target: mount.Target})
				break
			}
		}
	}
	return found, nil
}

// allViews are those of the host, of the plugin and of everybody else.
func (l *Linux) allViews() ([]view, error) {
	views, err := l.otherViews()
	if err != nil {
		return nil, err
	}
	pids := []int{l.hostPID}
	if !l.plain {
		pids = append(pids, os.Getpid())
	}
	for _, pid := range pids {
		side := Plugin
		if pid == l.hostPID {
			side = Host
		}
		table, err := l.readTable(side)
		if err != nil {
			return nil, err
		}
		views = append(views, view{pid: pid, name: l.commandName(strconv.Itoa(pid)), table: table})
	}
	return views, nil
}

// openers are the processes of the host's and of the plugin's namespace that have something at or below a path. Elsewhere the
// same path is something else; what a container has open is on a mount of its own.
func (l *Linux) openers(name string) ([]User, error) {
	ours, err := l.ownNamespaces()
	if err != nil {
		return nil, err
	}
	pids, err := l.processes()
	if err != nil {
		return nil, err
	}
	var found []User
	for _, pid := range pids {
		process := strconv.Itoa(pid)
		if namespace, err := namespaceOf(l.proc, process); err != nil || !ours[namespace] {
			continue // it ended, or is a thread of the kernel, or a container's
		}
		if what := l.opened(process, name); what != "" {
			found = append(found, User{PID: pid, Name: l.commandName(process), Target: what})
		}
	}
	return found, nil
}

// opened is one thing at or below a path that a process has: its root, working directory, program or an open file; or "".
func (l *Linux) opened(process, name string) string {
	folder := l.proc + "/" + process
	links := []string{folder + "/root", folder + "/cwd", folder + "/exe"}
	files, err := os.ReadDir(folder + "/fd")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	for _, file := range files {
		links = append(links, fmt.Sprintf("%s/fd/%s", folder, file.Name()))
	}
	for _, link := range links {
		if where, err := os.Readlink(link); err == nil && (where == name || strings.HasPrefix(where, name+"/")) {
			return where
		}
	}
	return ""
}
