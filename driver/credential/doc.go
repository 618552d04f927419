// Package credential keeps the named credentials of SMB shares (DESIGN D13), in mount.cifs(8)'s file format:
//
//	username=media
//	password=everything up to the end of the line, also blanks, # and quotes
//	domain=HOME
//
// Lines that are empty or begin with # are passed over. user, pass, dom and workgroup mean the same; username may be
// DOMAIN\name or DOMAIN/name. A password is 1 to 128 bytes (what the kernel logs in with) and holds no line end and no NUL.
//
// A [Store] has two layers: files on this node, and copies of those that lie in the catalog pool's private folder for all
// nodes ([Store.Mirror]). Copies are read when the pool is away, so that SMB does not depend on iSCSI; a node's own file of
// the same name wins. What a volume was given inline is kept under the name [ForVolume].
//
// Every file must be root's (this process's user) and 0600: one that others may read or write is refused, with the command
// that repairs it. Passwords are [mounter.Secret]s: nothing here can print, log or encode one.
package credential
