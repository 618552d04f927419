package mounter

import (
	"path"
	"strings"
)

// directory tells what is mounted: a directory of a superblock.
type directory struct{ device, root string }

func directoryOf(mount Mount) directory { return directory{mount.Device, mount.Root} }

// holds says whether another directory is this one or below it. Of a file system's root only the root itself counts: what
// is below are other volumes.
func (d directory) holds(other directory) bool {
	if d.device != other.device {
		return false
	}
	return d.root == other.root || d.root != "/" && strings.HasPrefix(other.root, d.root+"/")
}

// findUsers applies D11's rule to mount tables: a mount of a target's directory, or of one below it (volume-subpath), in a
// namespace that is neither the plugin's nor the host's, is a user unless it is a copy that came with a copy of the host's
// tree: to a systemd service with a namespace of its own, or into a container that binds /.
//
// A copy is told by its mount point. Whatever it is called there, it is the same directory of the same file system as the
// mount point of the original; a container's volume is on a directory of the container's own root. Propagation groups do
// not tell: the engine gives volumes no propagation, so that runc leaves a container's mount of one in the slave group of
// the target, as a service's copy is (measured on 20.10: master:N on both).
func findUsers(targets []string, own, host []Mount, others []view) map[string][]User {
	wanted := map[string]directory{}
	for _, target := range targets {
		if mount, ok := topmostAt(own, target); ok {
			wanted[target] = directoryOf(mount)
		}
	}
	originals := map[place]bool{}
	for _, table := range [][]Mount{own, host} {
		for _, at := range places(table) {
			originals[at] = true
		}
	}
	users := map[string][]User{}
	for _, other := range others {
		at := places(other.table)
		for _, mount := range other.table {
			if isCopy(mount, at, originals) {
				continue
			}
			for target, directory := range wanted {
				if directory.holds(directoryOf(mount)) {
					users[target] = append(users[target], User{PID: other.pid, Name: other.name, Target: mount.Target})
				}
			}
		}
	}
	return users
}

// isCopy also knows the engine's view of targets by its name, so that copies of targets which are mounted no more, or anew,
// are not taken for users.
func isCopy(mount Mount, at map[int]place, originals map[place]bool) bool {
	if strings.Contains(mount.Target, "/propagated-mount/") {
		return true
	}
	where, known := at[mount.ID]
	return known && originals[where]
}

// place is what is mounted, and on which directory of which file system, whatever the names in a namespace.
type place struct {
	mounted    directory
	mountPoint directory
}

// deleted ends the name of a mount point whose directory was removed (fs/d_path.c).
const deleted = "//deleted"

// places finds the place of each mount, by ID. A namespace's root has none: its parent is in no table.
func places(table []Mount) map[int]place {
	byID := make(map[int]Mount, len(table))
	for _, mount := range table {
		byID[mount.ID] = mount
	}
	result := make(map[int]place, len(table))
	for _, mount := range table {
		parent, ok := byID[mount.Parent]
		if !ok || parent.ID == mount.ID {
			continue
		}
		below, ok := relative(parent.Target, strings.TrimSuffix(mount.Target, deleted))
		if !ok {
			continue
		}
		result[mount.ID] = place{
			mounted:    directoryOf(mount),
			mountPoint: directory{parent.Device, path.Join(parent.Root, below)},
		}
	}
	return result
}

// relative is a path below a folder.
func relative(folder, name string) (string, bool) {
	if folder == "/" || folder == name {
		return strings.TrimPrefix(name, folder), true
	}
	return strings.CutPrefix(name, folder+"/")
}
