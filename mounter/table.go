package mounter

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// Table reads the mount table of a side.
func (l *Linux) Table(ctx context.Context, side Side) ([]Mount, error) {
	var table []Mount
	err := l.guard.Do(ctx, fmt.Sprintf("table %d", side), func() (err error) {
		table, err = l.readTable(side)
		return err
	}, nil)
	if err != nil { // a late answer may still be writing to table
		return nil, asked(err, "mount table", "", "")
	}
	return table, nil
}

// readTable reads it without the guard.
func (l *Linux) readTable(side Side) ([]Mount, error) {
	process := "thread-self"
	if side == Host && !l.plain {
		process = strconv.Itoa(l.hostPID)
	}
	return l.tableOf(process)
}

// tableOf reads a process's table.
func (l *Linux) tableOf(process string) ([]Mount, error) {
	var table []Mount
	err := l.calls.do("mountinfo", func() error {
		file, err := os.Open(l.proc + "/" + process + "/mountinfo")
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		table, err = ReadTable(file)
		return err
	})
	return table, err
}

// ReadTable parses the text of /proc/pid/mountinfo.
func ReadTable(reader io.Reader) ([]Mount, error) {
	infos, err := mountinfo.GetMountsFromReader(reader, nil)
	if err != nil {
		return nil, fmt.Errorf("mount table: %w", err)
	}
	table := make([]Mount, 0, len(infos))
	for _, info := range infos {
		table = append(table, fromInfo(info))
	}
	return table, nil
}

func fromInfo(info *mountinfo.Info) Mount {
	return Mount{
		ID: info.ID, Parent: info.Parent,
		Device: fmt.Sprintf("%d:%d", info.Major, info.Minor),
		Root:   info.Root, Target: info.Mountpoint, FSType: info.FSType, Source: info.Source,
		ReadOnly: readOnly(info.Options) || readOnly(info.VFSOptions),
		Options:  info.Options, SuperOptions: info.VFSOptions,
		Peer: group(info.Optional, "shared:"), Master: group(info.Optional, "master:"),
	}
}

// group finds a propagation group among the optional fields.
func group(optional, tag string) int {
	for field := range strings.FieldsSeq(optional) {
		if text, ok := strings.CutPrefix(field, tag); ok {
			if id, err := strconv.Atoi(text); err == nil && id > 0 {
				return id
			}
		}
	}
	return 0
}

func readOnly(options string) bool {
	return slices.Contains(strings.Split(options, ","), "ro")
}

// topmostAt is the mount that is seen at a target: of several there, the one that no other covers.
func topmostAt(table []Mount, target string) (Mount, bool) {
	for _, mount := range slices.Backward(table) {
		if mount.Target == target && !covered(table, mount) {
			return mount, true
		}
	}
	return Mount{}, false
}

// covered says whether another mount is on the root of this one.
func covered(table []Mount, under Mount) bool {
	return slices.ContainsFunc(table, func(m Mount) bool {
		return m.Parent == under.ID && m.ID != under.ID && m.Target == under.Target
	})
}

// coveringMount is the mount that a path is on.
func coveringMount(table []Mount, name string) (Mount, bool) {
	for {
		if mount, ok := topmostAt(table, name); ok {
			return mount, true
		}
		if name == "/" || name == "." || name == "" {
			return Mount{}, false
		}
		name = parentOf(name)
	}
}

func parentOf(name string) string {
	index := strings.LastIndexByte(name, '/')
	if index <= 0 {
		return "/"
	}
	return name[:index]
}
