package smb

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/mountoption"
)

// rule says what becomes of an option of o=. Options that need more than a rule (users, owners, dialects) are in taken.
type rule struct {
	names  string         // separated by blanks
	value  *regexp.Regexp // nil: a flag without a value
	hint   string         // what a value looks like
	as     string         // the name that the kernel is given; empty: the same
	drop   bool           // not for the kernel
	warn   string
	refuse string
}

var (
	number  = regexp.MustCompile(`^[0-9]{1,10}$`)
	seconds = regexp.MustCompile(`^[0-9]{1,7}$`)
	text    = regexp.MustCompile(`^[^\x00-\x1f\x7f]{1,255}$`)
)

// rules are the options of mount.cifs(8) and mount(8) as they are written in o=, and what becomes of them.
//
//nolint:gochecknoglobals // a table
var rules = []rule{
	// for the kernel (fs/smb/client/fs_context.c), unchanged
	{names: "mfsymlinks nomfsymlinks nodfs hard nosharesock serverino noserverino perm noperm dynperm mapposix nomapposix " +
		"mapchars nomapchars nocase ignorecase sfu unix nounix linux nolinux posix noposix posixpaths noposixpaths " +
		"nohandlecache handlecache resilienthandles persistenthandles nopersistenthandles noresilienthandles multichannel " +
		"nomultichannel seal sign strictsync nostrictsync user_xattr nouser_xattr acl noacl cifsacl modefromsid idsfromsid " +
		"forceuid noforceuid forcegid noforcegid setuids nosetuids locallease forcemandatorylock forcemand noblocksend " +
		"noautotune tcpnodelay sparse nosparse rdma domainauto nodelete fsc brl"},
	{names: "rsize wsize bsize rasize max_credits max_channels max_cached_dirs handletimeout esize snapshot", value: number, hint: "a number"},
	{names: "actimeo acregmax acdirmax closetimeo echo_interval", value: seconds, hint: "seconds"},
	{names: "cache", value: regexp.MustCompile(`^(strict|loose|none|ro|singleclient)$`), hint: "strict, loose, none, ro or singleclient"},
	{names: "port", value: regexp.MustCompile(`^[1-9][0-9]{0,4}$`), hint: "a port number"},
	{names: "iocharset netbiosname netfsname nbtname servern srcaddr reparse symlink symlinkroot backupuid backupgid compress upcall_target cruid", value: text, hint: "a text"},
	// with a warning
	{names: "soft", warn: "when the server is away, writes are lost without an error that the program sees; hard, the default, waits"},
	{names: "nobrl nolock", as: "nobrl", warn: "nobody sees another one's file locks; a database on this share would be corrupted"},
	{names: "sync dirsync mand", drop: true, warn: "it is not applied: the kernel's SMB client has no such mode of a mount"},
	{names: "noexec suid dev", drop: true, warn: "it is not applied: share mounts are nosuid and nodev, and programs may be run from them"},
	// without a meaning here: the mount is ours, or the kernel ignores them
	{names: "rw auto noauto defaults user nouser users nousers owner group exec nosuid nodev async relatime norelatime " +
		"atime noatime diratime nodiratime strictatime lazytime _netdev nofail nointr intr nomand cifs dfs noperms ff loud silent", drop: true},
	// refused
	{names: "bind rbind move remount private shared slave rprivate rshared rslave", refuse: "it is for directories, not for a share; leave it out"},
	{names: "multiuser", refuse: "containers have no SMB logins of their own; leave it out"},
	{names: "ntlm ntlmi lanman", refuse: "this login is insecure and was removed from the kernel; leave it out"},
	{names: "prefixpath", value: text, hint: "a text", refuse: "write the directory into device=//server/share/directory"},
	{names: "unc source", value: text, hint: "a text", refuse: "write device=//server/share"},
	{names: "fsname", value: text, hint: "a text", drop: true},
}

// ruleOf is the table by name: every Stage and Status looks options up.
//
//nolint:gochecknoglobals // an index of a table
var ruleOf = func() map[string]rule {
	index := map[string]rule{}
	for _, row := range rules {
		for name := range strings.FieldsSeq(row.names) {
			index[name] = row
		}
	}
	return index
}()

// unknown names the nearest option that is understood.
func unknown(name string) error {
	if near := mountoption.Nearest(name, understood()); near != "" {
		return fmt.Errorf("o: option %q is unknown; did you mean %s?", name, near)
	}
	return fmt.Errorf("o: option %q is unknown; the options are those of mount.cifs(8)", name)
}

func understood() []string {
	var names []string
	for name := range ruleOf {
		names = append(names, name)
	}
	for name := range taken {
		if name != "ver" { // nobody means it
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// slot is what two options have in common that cannot both hold: the later one wins.
func slot(option string) string {
	name, _, _ := strings.Cut(option, "=")
	if name == "soft" {
		return "hard"
	}
	if stripped, ok := strings.CutPrefix(name, "no"); ok {
		return stripped
	}
	return name
}

// keep adds an option for the kernel in place of an earlier one of its slot.
func keep(options []string, option string) []string {
	options = slices.DeleteFunc(options, func(earlier string) bool { return slot(earlier) == slot(option) })
	return append(options, option)
}

func inRange(text string, highest uint64) bool {
	value, err := strconv.ParseUint(text, 10, 64)
	return err == nil && value <= highest
}
