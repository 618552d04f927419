package mounter

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxOpenFiles bounds what is told of one target: a torrent client has some hundred files open.
const maxOpenFiles = 1024

// OpenFiles finds what containers have open for writing below targets. Only /proc is read: no file system is asked, so that a
// server that does not answer is in nobody's way.
func (l *Linux) OpenFiles(ctx context.Context, targets []string) (map[string][]OpenFile, error) {
	var files map[string][]OpenFile
	err := l.guard.Do(ctx, "open files", func() error {
		found, err := l.openFiles(targets)
		files = found
		return err
	}, nil)
	if err != nil { // a late answer may still be writing to files
		return nil, asked(err, "open files", "", strings.Join(targets, ", "))
	}
	return files, nil
}

func (l *Linux) openFiles(targets []string) (map[string][]OpenFile, error) {
	own, err := l.readTable(Plugin)
	if err != nil {
		return nil, err
	}
	views, err := l.otherViews()
	if err != nil {
		return nil, err
	}
	mounted := map[string]Mount{}
	for _, target := range targets {
		if mount, ok := topmostAt(own, target); ok {
			mounted[target] = mount
		}
	}
	spaces := map[string][]window{}
	for _, view := range views {
		if windows := windowsOf(mounted, view.table); len(windows) > 0 {
			namespace, err := namespaceOf(l.proc, strconv.Itoa(view.pid))
			if err == nil { // else it has just ended
				spaces[namespace] = windows
			}
		}
	}
	if len(spaces) == 0 {
		return nil, nil
	}
	return l.throughWindows(spaces)
}

// window is a mount of a target's directory, or of one below it, in another namespace.
type window struct {
	target string // ours
	id     int
	at     string // where it is mounted there
	below  string // the mounted directory, below the target's
}

func windowsOf(mounted map[string]Mount, theirs []Mount) []window {
	var windows []window
	for _, other := range theirs {
		for target, mount := range mounted {
			if !directoryOf(mount).holds(directoryOf(other)) {
				continue
			}
			if below, ok := relative(mount.Root, other.Root); ok {
				windows = append(windows, window{target: target, id: other.ID, at: other.Target, below: strings.TrimPrefix(below, "/")})
			}
		}
	}
	return windows
}

// throughWindows looks at every process of some namespaces.
func (l *Linux) throughWindows(spaces map[string][]window) (map[string][]OpenFile, error) {
	pids, err := l.processes()
	if err != nil {
		return nil, err
	}
	files := map[string][]OpenFile{}
	for _, pid := range pids {
		namespace, err := namespaceOf(l.proc, strconv.Itoa(pid))
		if err != nil {
			continue // it ended
		}
		for _, found := range l.writtenBy(pid, spaces[namespace]) {
			if known := files[found.target]; len(known) < maxOpenFiles && !slices.Contains(known, found.OpenFile) {
				files[found.target] = append(known, found.OpenFile)
			}
		}
	}
	return files, nil
}

type written struct {
	target string
	OpenFile
}

// writtenBy lists what a process has open for writing in its windows.
func (l *Linux) writtenBy(pid int, windows []window) []written {
	if len(windows) == 0 {
		return nil
	}
	process := strconv.Itoa(pid)
	folder := l.proc + "/" + process
	descriptors, err := os.ReadDir(folder + "/fd")
	if err != nil {
		return nil // it ended
	}
	var found []written
	for _, descriptor := range descriptors {
		where, err := os.Readlink(folder + "/fd/" + descriptor.Name())
		if err != nil || !strings.HasPrefix(where, "/") || strings.HasSuffix(where, " (deleted)") {
			continue
		}
		for _, window := range windows {
			below, ok := relative(window.at, where)
			if !ok || !l.writes(fmt.Sprintf("%s/fdinfo/%s", folder, descriptor.Name()), window.id) {
				continue
			}
			file := OpenFile{PID: pid, Name: l.commandName(process), Path: path.Join(window.below, below)}
			found = append(found, written{window.target, file})
			break
		}
	}
	return found
}

// writes says whether an open file (proc(5), /proc/pid/fdinfo) is on a mount and open for writing.
func (l *Linux) writes(name string, mount int) bool {
	file, err := os.Open(name)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }()
	flags, id := uint64(0), -1
	for lines := bufio.NewScanner(file); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimSpace(value)
		switch key {
		case "flags":
			flags, err = strconv.ParseUint(value, 8, 64)
		case "mnt_id":
			id, err = strconv.Atoi(value)
		}
		if err != nil {
			return false
		}
	}
	return id == mount && flags&unix.O_ACCMODE != unix.O_RDONLY && flags&unix.O_PATH == 0
}
