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
	names           string         // separated by blanks
	value           *regexp.Regexp // nil: a flag without a value
	hint            string         // what a value looks like
	lowest, highest uint64         // of a number; highest 0 means no bound
	as              string         // the name that the kernel is given; empty: the same
	drop            bool           // not for the kernel
	undo            bool           // takes one of our own defaults away, and the kernel has no word for that
	warn            string
	refuse          string
}

var (
	number  = regexp.MustCompile(`^[0-9]{1,10}$`)
	long    = regexp.MustCompile(`^[0-9]{1,19}$`)
	seconds = regexp.MustCompile(`^[0-9]{1,7}$`)
	text    = regexp.MustCompile(`^[^\x00-\x1f\x7f]{1,255}$`)
)

// rules are the options of mount.cifs(8) and mount(8) as they are written in o=, and what becomes of them.
//
//nolint:gochecknoglobals // a table
var rules = []rule{
	// for the kernel (fs/smb/client/fs_context.c), unchanged
	{names: "mfsymlinks nodfs hard nosharesock serverino noserverino perm noperm dynperm nodynperm mapposix nomapposix " +
		"mapchars nomapchars nocase ignorecase sfu nosfu unix nounix linux nolinux posix noposix posixpaths noposixpaths " +
		"nohandlecache handlecache resilienthandles persistenthandles nopersistenthandles noresilienthandles multichannel " +
		"nomultichannel seal sign strictsync nostrictsync user_xattr nouser_xattr acl noacl cifsacl modefromsid modesid idsfromsid " +
		"setuidfromacl forceuid noforceuid forcegid noforcegid setuids nosetuids locallease nolease forcemandatorylock forcemand noblocksend " +
		"noautotune tcpnodelay notcpnodelay nosparse rdma domainauto nodelete fsc brl rwpidforward compress witness"},
	{names: "rsize wsize bsize rasize max_cached_dirs handletimeout esize min_enc_offload retrans", value: number, highest: 1<<32 - 1, hint: "a number"},
	{names: "max_credits", value: number, lowest: 20, highest: 60000, hint: "a number from 20 to 60000"},
	{names: "max_channels", value: number, lowest: 1, highest: 16, hint: "a number from 1 to 16"},
	{names: "actimeo acregmax acdirmax closetimeo", value: seconds, hint: "seconds"},
	{names: "echo_interval", value: seconds, lowest: 1, highest: 600, hint: "seconds, 1 to 600"},
	{names: "cache", value: regexp.MustCompile(`^(strict|loose|none|ro|singleclient)$`), hint: "strict, loose, none, ro or singleclient"},
	{names: "port", value: number, lowest: 1, highest: 65535, hint: "a port number, 1 to 65535"},
	{names: "iocharset netbiosname servern srcaddr reparse symlink symlinkroot upcall_target", value: text, hint: "a text"},
	{names: "nomfsymlinks dfs", undo: true},
	// with a warning
	{names: "soft", warn: "when the server is away, writes are lost without an error that the program sees; hard, the default, waits"},
	{names: "nobrl nolock", as: "nobrl", warn: "nobody sees another one's file locks, which corrupts databases: a volume that holds one is refused"},
	{names: "sync dirsync mand", drop: true, warn: "it is not applied: the kernel's SMB client has no such mode of a mount"},
	{names: "noexec suid dev", drop: true, warn: "it is not applied: share mounts are nosuid and nodev, and programs may be run from them"},
	{names: "ignore_signature signloosely", drop: true, warn: "it is not applied: a damaged or forged answer would be believed"},
	// without a meaning here: the mount is ours, or the kernel ignores them
	{names: "auto noauto defaults user nouser users nousers owner group exec nosuid nodev async relatime norelatime " +
		"atime noatime diratime nodiratime strictatime lazytime _netdev nofail nobootwait nointr intr nomand cifs noperms ff loud silent " +
		"sloppy sparse nofsc sharesock lease strictcache", drop: true},
	{names: "codepage", value: text, hint: "a text", drop: true, warn: "it is not applied: SMB 2 and 3 have names in Unicode only"},
	{names: "netfsname nbtname", value: text, hint: "a text", drop: true, warn: "it is not applied: the kernel's SMB client does not know it, and has no use for a NetBIOS name on port 445"},
	{names: "timeo retry", value: text, hint: "a text", drop: true, warn: "it is not applied: it is an option of NFS"},
	// refused
	{names: "bind rbind move remount private shared slave rprivate rshared rslave", refuse: "it is for directories, not for a share; leave it out"},
	{names: "multiuser", refuse: "containers have no SMB logins of their own; leave it out"},
	{names: "ntlm ntlmi lanman", refuse: "this login is insecure and was removed from the kernel; leave it out"},
	{names: "directio forcedirectio", refuse: "it was removed from the kernel; write cache=none"},
	{names: "noac", refuse: "the kernel's SMB client does not know it; write actimeo=0"},
	{names: "rootfs", refuse: "it is for a machine that boots from a share; leave it out"},
	{names: "prefixpath", value: text, hint: "a text", refuse: "write the directory into device=//server/share/directory"},
	{names: "unc source", value: text, hint: "a text", refuse: "write device=//server/share"},
	{names: "nfsvers", value: text, hint: "a text", refuse: "it is an option of NFS; the dialect of SMB is vers="},
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
	return append(without(options, option), option)
}

// without takes the options away that have a slot in common with some names.
func without(options []string, names ...string) []string {
	return slices.DeleteFunc(options, func(option string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return slot(option) == slot(name) })
	})
}

// within says whether a number is in the rule's bounds.
func (r rule) within(text string) bool {
	if r.highest == 0 {
		return true
	}
	value, err := strconv.ParseUint(text, 10, 64)
	return err == nil && r.lowest <= value && value <= r.highest
}
