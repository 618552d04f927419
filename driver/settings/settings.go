// Package settings holds the operator's configuration as the driver and its backends see it: plain, checked data. Package
// plugin/config reads it from settings and files and replaces it as a whole when they change.
package settings

import (
	"io/fs"
	"strings"
	"time"
)

// Settings is one configuration in force. It is never changed after it was published.
type Settings struct {
	Node     string // this node's name
	Pools    []Pool
	Shares   []Share
	Classes  map[string]Class
	Defaults Defaults
	// Server and Credentials (SMB_SERVER, SMB_CREDENTIALS) complete a share that names none.
	Server, Credentials string
	// Standalone asks for a node-local pool instead of an OCFS2 one (DESIGN D14).
	Standalone bool
}

// Source gives the settings in force; it is called for every volume call and answers from memory.
type Source interface{ Current() *Settings }

// Pool is one OCFS2 file system, or the standalone pool of one node.
type Pool struct {
	Name         string
	Device       string // UUID=..., LABEL=... or /dev/disk/by-*/...; empty for the standalone pool
	Path         string // where it is mounted on the host, absolute and clean
	MountOptions []string
	ISCSI        *ISCSI
	Catalog      bool // holds the cluster's volume records
	Standalone   bool
}

// ISCSI names the target of a pool's disk.
type ISCSI struct {
	Portal string // host or host:port (3260)
	Target string // iqn....
}

// Share is a named SMB share.
type Share struct {
	Name        string
	Device      string   // //server/share[/directory]
	Credentials string   // the name of a credentials file
	Options     []string // as in mount.cifs's -o, one each
}

// Class is an operator's own class: another one's behaviour with other defaults. Nil means as there.
type Class struct {
	Like     string
	UID, GID *uint32
	Mode     *fs.FileMode
}

// Defaults complete what a volume does not say.
type Defaults struct {
	UID, GID       uint32        // 1000, 1000
	Mode           fs.FileMode   // 0770
	TrashRetention time.Duration // how long removed data stays in a pool's trash
	ShareLinger    time.Duration // how long an unused share stays mounted
	LeaseWait      time.Duration // how long a Mount waits for another node
}

// Initial returns the defaults that DESIGN gives: 1000:1000, 0770, 30 days, 10 minutes, 20 seconds.
func Initial() Defaults {
	return Defaults{
		UID: 1000, GID: 1000, Mode: 0o770,
		TrashRetention: 30 * 24 * time.Hour, ShareLinger: 10 * time.Minute, LeaseWait: 20 * time.Second,
	}
}

// PoolNamed finds a pool.
func (s *Settings) PoolNamed(name string) (Pool, bool) {
	for _, pool := range s.Pools {
		if pool.Name == name {
			return pool, true
		}
	}
	return Pool{}, false
}

// ShareNamed finds a share.
func (s *Settings) ShareNamed(name string) (Share, bool) {
	for _, share := range s.Shares {
		if share.Name == name {
			return share, true
		}
	}
	return Share{}, false
}

// CatalogPool is the pool that holds the cluster's records, if one is configured.
func (s *Settings) CatalogPool() (Pool, bool) {
	for _, pool := range s.Pools {
		if pool.Catalog {
			return pool, true
		}
	}
	return Pool{}, false
}

// Dashed is a UUID of 32 digits as udev and blkid(8) write it: 8-4-4-4-12, in lower case. The tools of OCFS2 print it without dashes.
func Dashed(uuid string) string {
	uuid = strings.ToLower(uuid)
	if len(uuid) != 32 || strings.Contains(uuid, "-") {
		return uuid
	}
	return strings.Join([]string{uuid[:8], uuid[8:12], uuid[12:16], uuid[16:20], uuid[20:]}, "-")
}
