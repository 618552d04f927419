package plan

import (
	"fmt"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/class"
	"github.com/homelab-storage/homelab-storage/driver/option"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/internal/several"
)

// Choice is what options and decision matrix say of a new volume, before its backend has checked where it goes.
type Choice struct {
	Class class.Class
	// Access is the class's, unless the options say otherwise.
	Access class.Access
	// Request is for the backend of the class's kind.
	Request backend.Request
}

// Choose applies the decision matrix to the options of a volume. It reports all problems together (go-multierror); each text ends
// with what to write instead.
func Choose(name string, set option.Set, now *settings.Settings) (Choice, error) {
	row, err := chooseClass(set, now)
	if err != nil {
		return Choice{}, err
	}
	var problems *multierror.Error
	problems = several.Append(problems, matrix(name, set, row)...)
	problems = several.Append(problems, misplaced(set, row)...)
	return Choice{Class: row, Access: chooseAccess(set, row), Request: request(name, set, row, now.Defaults)}, problems.ErrorOrNil()
}

// chooseClass finds the class that was named, or the default of the storage that was.
func chooseClass(set option.Set, now *settings.Settings) (class.Class, error) {
	if set.Has("class") {
		return class.Find(set.Class, now.Classes)
	}
	if set.Type == "tmpfs" {
		return class.Find("temp", now.Classes)
	}
	kind := storage(set)
	if kind == "" {
		kind = backend.OCFS2
	}
	return class.Default(kind), nil
}

// storage is the kind of storage that the options other than class ask for, or "".
func storage(set option.Set) string {
	switch {
	case set.Type == "cifs", set.Type == "smb3", set.Has("share"), isShare(set.Device):
		return backend.CIFS
	case set.Type == "local", set.Type == "tmpfs":
		return backend.Local
	case set.Type == "none", set.Type == "ocfs2", set.Has("pool"), set.Has("device"):
		return backend.OCFS2
	}
	return ""
}

func isShare(device string) bool {
	return strings.HasPrefix(device, "//") || strings.HasPrefix(device, `\\`)
}

// matrix refuses what does not fit: databases on a share, and a class on another storage than its own. Each text ends with
// the line to write instead.
func matrix(name string, set option.Set, row class.Class) []error {
	kind := storage(set)
	sqlite := set.SQLite != nil && *set.SQLite
	switch {
	case kind == backend.CIFS && (row.Database || sqlite):
		return []error{refuseDatabase(name, set, row)}
	case sqlite && row.Kind == backend.CIFS:
		return []error{refuseDatabase(name, set, row)}
	case sqlite && row.Disposable:
		return []error{fmt.Errorf("class %s is for disposable data: a database there is lost; write -o class=db instead", row.Name)}
	case kind != "" && kind != row.Kind:
		return []error{fmt.Errorf("class %s is stored on %s, but the options ask for %s; write -o class=%s, or leave out %s",
			row.Name, row.Kind, kind, class.Default(kind).Name, because(set))}
	}
	return nil
}

// refuseDatabase says why SQLite must not be on SMB (FACTS 4) and what to write instead.
func refuseDatabase(name string, set option.Set, row class.Class) error {
	what := "class " + row.Name
	if set.SQLite != nil && *set.SQLite {
		what = "sqlite=true"
	}
	return fmt.Errorf("%s is for databases, and SQLite on an SMB share fails with \"database is locked\" or corrupts silently: "+
		"byte-range locks and write order are not kept there. Put the database on the cluster filesystem: "+
		"`docker volume create -d homelab-storage -o class=db %s` (compose: driver_opts: {class: db}); "+
		"for media files on the share write -o class=media", what, name)
}

// because names the options that ask for a storage.
func because(set option.Set) string {
	var names []string
	for _, name := range []string{"type", "device", "share", "pool"} {
		if set.Has(name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " and ")
}

// misplaced refuses options that the class's storage has no use for: ignoring one would be a silent surprise.
func misplaced(set option.Set, row class.Class) []error {
	kinds := map[string][]string{
		backend.OCFS2: {"pool", "access", "from"},
		backend.CIFS:  {"share", "credentials", "username", "password", "domain", "guard"},
		backend.Local: {"size"},
	}
	var problems []error
	for _, kind := range []string{backend.OCFS2, backend.CIFS, backend.Local} {
		for _, name := range kinds[kind] {
			if set.Has(name) && kind != row.Kind {
				problems = append(problems, fmt.Errorf("option %s belongs to %s storage, but class %s is stored on %s; leave it out or choose another class", name, kind, row.Name, row.Kind))
			}
		}
	}
	if set.Has("subdir") && (row.Disposable || row.Whole) {
		problems = append(problems, fmt.Errorf("option subdir has no meaning for class %s", row.Name))
	}
	return append(problems, misplacedInClass(set, row)...)
}

// misplacedInClass refuses what belongs to another class of the same storage.
func misplacedInClass(set option.Set, row class.Class) []error {
	var problems []error
	if row.Kind == backend.Local && !row.Memory {
		if set.Has("size") {
			problems = append(problems, fmt.Errorf("option size belongs to class temp: a %s volume has the size of the node's disk", row.Name))
		}
		if set.Type == "tmpfs" {
			problems = append(problems, fmt.Errorf("options class=%s and type=tmpfs contradict each other: a tmpfs is class temp", row.Name))
		}
	}
	if !row.Whole {
		return problems
	}
	for _, name := range []string{"uid", "gid", "mode", "access", "from"} {
		if set.Has(name) {
			problems = append(problems, fmt.Errorf("option %s has no meaning for class %s, a read-only view of a whole pool", name, row.Name))
		}
	}
	if set.SQLite != nil && *set.SQLite || set.Has("ro") && !set.ReadOnly {
		problems = append(problems, fmt.Errorf("class %s is a read-only view of a whole pool: for data to write to choose another class, for a database -o class=db", row.Name))
	}
	return problems
}

func chooseAccess(set option.Set, row class.Class) class.Access {
	switch {
	case set.Has("access"):
		return class.Access(set.Access)
	case set.SQLite != nil && *set.SQLite:
		return class.Exclusive
	}
	return row.Access
}

// request gathers what the backend completes: owner and mode come from the options, the operator's class, or the defaults.
func request(name string, set option.Set, row class.Class, defaults settings.Defaults) backend.Request {
	location := backend.Location{
		Kind: row.Kind, Pool: set.Pool, Credentials: set.Credentials, Subdir: set.Subdir,
		UID:      first(set.Has("uid"), set.UID, row.UID, defaults.UID),
		GID:      first(set.Has("gid"), set.GID, row.GID, defaults.GID),
		Mode:     first(set.Has("mode"), set.Mode, row.Mode, defaults.Mode),
		ReadOnly: set.ReadOnly, Whole: row.Whole, Memory: row.Memory, Size: set.Size,
	}
	return backend.Request{
		Name: name, Location: location, Username: set.Username, Password: set.Password, Domain: set.Domain,
		Options: set.O, Device: set.Device, Share: set.Share, Explicit: set.Given,
	}
}

func first[T any](given bool, option T, ofClass *T, fallback T) T {
	switch {
	case given:
		return option
	case ofClass != nil:
		return *ofClass
	}
	return fallback
}
