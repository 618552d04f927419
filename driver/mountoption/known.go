package mountoption

import (
	"strings"

	"github.com/agext/levenshtein"
)

// known are the option names of mount(8), mount.cifs(8) and the kernel's SMB client (fs/smb/client/fs_context.c), without
// the "no" of those that can be negated: see [Known].
const known = `acdirmax acl acregmax actimeo addr async atime auto backupgid backupuid bind brl bsize cache case cifsacl
closetimeo compress cred credentials cruid defaults dev dfs dir_mode dirmode diratime dirsync dom domain echo_interval esize
exec fail ff file_mode forcegid forcemand forcemandatorylock forceuid fsc gid group guest handlecache handletimeout hard
idsfromsid ignorecase intr ip iocharset lazytime lease linux locallease lock loud mand mapchars mapposix max_cached_dirs
max_channels max_credits mfsymlinks mode modefromsid multichannel multiuser nativesocket netbiosname netfsname nbtname ntlm
owner pass pass2 passwd password password2 perm persistenthandles port posix posixpaths prefixpath private pwd rasize rbind rdma relatime
remount reparse resilienthandles retrans rdirplus rprivate rshared rslave ro rsize rw sec seal serverino servern setuidfromacl
setuids sfu shared sharesock sign signloosely silent slave sloppy snapshot soft sparse srcaddr strictatime strictsync suid
symlink symlinkroot sync tcpnodelay unc unix upcall_target user user_xattr username uid users vers wsize workgroup witness
autotune ver unicode _netdev ac blocksend bootwait cifs delete dmask domainauto dynperm fmask fsname ignore_signature lanman
min_enc_offload modesid move nfsvers ntlmi perms retry rootfs rwpidforward source timeo umask codepage context defcontext directio
forcedirectio fscontext rootcontext strictcache`

// Known says whether a lower-case name is an option of mount(8), mount.cifs(8) or the kernel's SMB client.
func Known(name string) bool {
	return names[name] || names[strings.TrimPrefix(name, "no")] || strings.HasPrefix(name, "x-") || strings.HasPrefix(name, "comment")
}

//nolint:gochecknoglobals // an index of a table: thousands of records are checked at once
var names = func() map[string]bool {
	index := map[string]bool{}
	for name := range strings.FieldsSeq(known) {
		index[name] = true
	}
	return index
}()

// Nearest is the one of some names that is at most two edits away from a name, whatever its case, and has something in common
// with it; "" when none is.
func Nearest(name string, names []string) string {
	best, distance := "", 3
	for _, candidate := range names {
		if d := levenshtein.Distance(strings.ToLower(name), strings.ToLower(candidate), nil); d < min(distance, len(candidate)) {
			best, distance = candidate, d
		}
	}
	return best
}
