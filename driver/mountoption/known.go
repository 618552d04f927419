package mountoption

import (
	"slices"
	"strings"
)

// known are the option names of mount(8), mount.cifs(8) and the kernel's SMB client (fs/smb/client/fs_context.c).
const known = `acdirmax acl acregmax actimeo addr async atime auto backupgid backupuid bind bsize cache cifsacl closetimeo compress
cred credentials cruid defaults dev dir_mode dirmode dirsync dom domain echo_interval esize exec ff file_mode forcegid
forcemand forceuid fsc gid guest handletimeout hard idsfromsid ignorecase intr ip iocharset linux locallease lock
mand mapchars mapposix max_cached_dirs max_channels max_credits mfsymlinks modefromsid multichannel multiuser nativesocket
netbiosname netfsname nbtname noacl noatime noauto noautotune nobrl nocase nocase nodev nodfs noexec noforcegid noforceuid
nohandlecache nointr nolease nolinux nolock nomand nomapchars nomapposix nomultichannel noperm noposix noposixpaths
noserverino nosetuids nosharesock nosoft nosparse nostrictsync nosuid nounix nouser_xattr nouser ntlm
pass password password2 perm persistenthandles port posix posixpaths prefixpath private rasize rbind rdma relatime
reparse resilienthandles retrans rdirplus rprivate rshared rslave ro rsize rw sec seal serverino servern setuids sfu shared
sharesock sign signloosely slave sloppy snapshot soft sparse srcaddr strictatime strictsync suid symlink symlinkroot sync
tcpnodelay unc unix upcall_target user user_xattr username uid users vers wsize workgroup witness nowitness
nopersistenthandles noresilienthandles _netdev nofail x-systemd.automount x-systemd.requires x-systemd.after`

// Known says whether a lower-case name is an option of mount(8), mount.cifs(8) or the kernel's SMB client.
func Known(name string) bool {
	return slices.Contains(strings.Fields(known), name)
}
