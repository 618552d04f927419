package config

import (
	"io/fs"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/settings"
)

// layer is what one source says: a file, or the settings. What it does not say is nil or empty.
type layer struct {
	pools    []pool
	shares   []share
	classes  []namedClass
	defaults defaults
}

// place is where something was written, for problems that concern two places.
type place struct {
	file         string
	line, column int
	key          string // for example pools[1]
}

// pool is a pool with the place where it was written.
type pool struct {
	settings.Pool
	at place
}

type share struct {
	settings.Share
	at place
}

type namedClass struct {
	name  string
	class settings.Class
}

// defaults are settings.Defaults of which each may be missing.
type defaults struct {
	uid, gid                               *uint32
	mode                                   *fs.FileMode
	trashRetention, shareLinger, leaseWait *time.Duration
}

// under completes defaults with those of a source that comes later.
func (d defaults) under(later defaults) defaults {
	return defaults{
		uid: first(d.uid, later.uid), gid: first(d.gid, later.gid), mode: first(d.mode, later.mode),
		trashRetention: first(d.trashRetention, later.trashRetention),
		shareLinger:    first(d.shareLinger, later.shareLinger),
		leaseWait:      first(d.leaseWait, later.leaseWait),
	}
}

// over puts defaults over the built-in ones.
func (d defaults) over(base settings.Defaults) settings.Defaults {
	return settings.Defaults{
		UID: value(d.uid, base.UID), GID: value(d.gid, base.GID), Mode: value(d.mode, base.Mode),
		TrashRetention: value(d.trashRetention, base.TrashRetention),
		ShareLinger:    value(d.shareLinger, base.ShareLinger),
		LeaseWait:      value(d.leaseWait, base.LeaseWait),
	}
}

func first[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

func value[T any](given *T, otherwise T) T {
	if given != nil {
		return *given
	}
	return otherwise
}
