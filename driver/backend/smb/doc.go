// Package smb keeps volumes on SMB shares (DESIGN D9).
//
// # Shares and volumes
//
// A share is mounted once for all volumes with the same server, share, credentials, owner, modes and options: they have one
// key, and the mount is at <share root>/<key> in the plugin's own namespace. Volumes are binds of its sub-directories, made
// by the driver. Nothing is counted or stored: the mount table says which shares are mounted and used, and a share that no
// bind has used for Defaults.ShareLinger is unmounted by [Backend.Run]. The credentials' name, not the password, is part of
// the key: a volume with a wrong password can never ride on another one's mount.
//
// # What a request may say
//
// device=//server/share[/directory], or share= with a configured name or a share of SMB_SERVER; in o= the options of
// mount.cifs(8). Each of them is kept for the kernel, becomes a field of the location (uid, gid, dir_mode, file_mode, ro,
// credentials), has no meaning here and is dropped, or is refused with the reason: see rules.go, taken.go and docs/smb-options.md,
// which a test makes from a hundred lines that people write. Names of users and groups become numbers at Create, by the host's
// getent. Unless the volume says otherwise a mount is hard, 3.1.1 and then 3.0, with port=445, nodfs, echo_interval=10,
// mfsymlinks, acregmax=10 and acdirmax=1 (FACTS 4). SMB 1 is used only where the configuration of the share says vers=1.0.
//
// # Time
//
// The kernel mounts one share at a time, whatever the server, takes 5 to 22 s to give up one that is away or says nothing, and cannot be
// left meanwhile (FACTS 4). So everything is found out before it is asked, by all who want a share at the same time: the name is
// resolved by the host (5.5 s), port 445 is probed (2 s, all addresses at once), and the server is greeted (15 s, for disks that
// have to spin up; 21 s for all three). One that says nothing is not left to the kernel. Then mounts take turns, one in the whole process:
// a server that hangs later than at its greeting holds up the first mounts of all others, who wait 15 s and are told which server that
// is. A turn ends when the kernel has answered, not when its caller has gone. It goes on to the server whose last one is longest ago, so
// that a mount waits for one mount of each other server at most; and a server whose mount failed after others had waited 15 s for it in vain
// lets them go first, for 30 s.
//
// One mount is in flight per key; it goes on when its callers have given up, and a late success is used by the next one. While it
// hangs, further calls are answered at once. A share that is mounted and does not answer for a second has its server asked the same way,
// so that the answer says what is wrong. When a mount has no answer, the others from its server are not touched before that answers:
// a look that hangs costs a thread.
//
// # Healing
//
// Which shares are mounted is kept in Options.Memory, without secrets. At start [Backend.Run] mounts all of them again before
// anybody asks, the servers at the same time. Then it looks at every share: at one that is well each 30 s; at one whose server is away
// with a back-off from 2 to 30 s; at one that was refused each 10 minutes while it is mounted, and else never, for servers lock
// out who logs in wrongly again and again. Status and Report show what it saw.
//
// A mount that is stale although its server is there - the share was made anew, the session is gone, the NAS has another address -
// is replaced: a second mount, on a connection of its own, at <share root>/<key>.2. New Mounts get that one; binds of the
// old one stay as they are, and it goes with the last of them.
//
// Create makes the sub-directory; Stage never does. Remove leaves a share as it is.
package smb
