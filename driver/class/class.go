// Package class is the decision matrix as data: what kind of data a volume holds, and so where it is stored, who may use it
// at once and what happens to it on remove (DESIGN D5). A new class is one row of [Table]; operators add their own rows with
// `classes:` in the configuration.
package class

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/mountoption"
	"github.com/homelab-storage/homelab-storage/driver/settings"
)

// Access says how many nodes may use a volume at once.
type Access string

// The three ways of access.
const (
	Exclusive Access = "exclusive"      // one node at a time
	Shared    Access = "shared"         // many nodes
	Guarded   Access = "until-database" // many nodes; one as soon as a database file is inside
)

// Class is one row of the matrix.
type Class struct {
	Name   string
	Kind   string // the backend's kind
	Access Access
	// Database says that the class is for data that must never be on SMB.
	Database bool
	// Disposable data is deleted on remove, and each node has its own.
	Disposable bool
	// Memory puts the data into a tmpfs.
	Memory bool
	// Whole is a read-only view of a whole pool.
	Whole bool
	// For says, to a person, what the class is for.
	For string
	// UID, GID and Mode override the defaults when set; only operators' classes have them.
	UID, GID *uint32
	Mode     *fs.FileMode
}

// Table returns the built-in classes, in the order of the documentation.
func Table() []Class {
	return []Class{
		{Name: "db", Kind: backend.OCFS2, Access: Exclusive, Database: true, For: "SQLite and other databases"},
		{Name: "library", Kind: backend.OCFS2, Access: Exclusive, Database: true, For: "a media server's library (Emby, Plex, Jellyfin)"},
		{Name: "config", Kind: backend.OCFS2, Access: Guarded, Database: true, For: "configuration files"},
		{Name: "data", Kind: backend.OCFS2, Access: Guarded, Database: true, For: "small persistent data"},
		{Name: "backup", Kind: backend.OCFS2, Access: Shared, Whole: true, For: "a read-only view of a whole pool, for a backup program"},
		{Name: "media", Kind: backend.CIFS, Access: Shared, For: "large media files on a share"},
		{Name: "downloads", Kind: backend.CIFS, Access: Shared, For: "download directories on a share"},
		{Name: "cache", Kind: backend.Local, Access: Shared, Disposable: true, For: "disposable data, each node its own"},
		{Name: "temp", Kind: backend.Local, Access: Shared, Disposable: true, Memory: true, For: "a tmpfs, empty at each start"},
	}
}

// Find gives the class of a name: a built-in row, or an operator's row over the one it is like.
func Find(name string, custom map[string]settings.Class) (Class, error) {
	if row, ok := builtin(name); ok {
		return row, nil
	}
	own, ok := custom[name]
	if near := mountoption.Nearest(name, Names(custom)); !ok && near != "" {
		return Class{}, fmt.Errorf("class %q is unknown; did you mean %s? The classes are %s", name, near, strings.Join(Names(custom), ", "))
	}
	if !ok {
		return Class{}, fmt.Errorf("class %q is unknown; the classes are %s", name, strings.Join(Names(custom), ", "))
	}
	row, ok := builtin(own.Like)
	if !ok {
		return Class{}, fmt.Errorf("class %q of the configuration is like %q, which is not a built-in class", name, own.Like)
	}
	row.Name, row.UID, row.GID, row.Mode = name, own.UID, own.GID, own.Mode
	return row, nil
}

// Names lists the built-in classes, then the operator's own in alphabetical order.
func Names(custom map[string]settings.Class) []string {
	var names []string
	for _, row := range Table() {
		names = append(names, row.Name)
	}
	return append(names, slices.Sorted(maps.Keys(custom))...)
}

// Default is the class of a volume that names none, by its kind: exclusive OCFS2, media on SMB, cache on the node.
func Default(kind string) Class {
	name := map[string]string{backend.OCFS2: "db", backend.CIFS: "media", backend.Local: "cache"}[kind]
	row, _ := builtin(name)
	return row
}

func builtin(name string) (Class, bool) {
	for _, row := range Table() {
		if row.Name == name {
			return row, true
		}
	}
	return Class{}, false
}
