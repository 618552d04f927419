// Package backend is the contract that every kind of storage fulfils. The driver decides what happens to a volume and in
// which order; a backend knows how its storage is checked, made and found. Its packages (ocfs2, smb, local) never see each
// other, the catalog or Docker; package backendtest proves that each of them keeps this contract.
package backend

import (
	"context"
	"errors"
	"io/fs"

	"github.com/homelab-storage/homelab-storage/mounter"
)

// Kinds of storage.
const (
	OCFS2 = "ocfs2"
	CIFS  = "cifs"
	Local = "local"
)

// Location says where a volume's data is and how it is offered. It is part of the volume's record and is the same on every
// node; fields that a kind does not use are empty.
type Location struct {
	Kind string `json:"kind"` // OCFS2, CIFS or Local
	// Pool and PoolUUID name the pool of an OCFS2 volume; PoolUUID is written at Create, from the proven file system.
	Pool     string `json:"pool,omitempty"`
	PoolUUID string `json:"pool_uuid,omitempty"`
	// Standalone says that the data is on one node only (DESIGN D14).
	Standalone bool `json:"standalone,omitempty"`
	// Device is //server/share of an SMB volume, Credentials the name of its credentials.
	Device      string `json:"device,omitempty"`
	Credentials string `json:"credentials,omitempty"`
	// MountOptions are those of the share mount, checked, in the order given, without secrets, uid, gid or modes.
	MountOptions []string `json:"mount_options,omitempty"`
	// Subdir is below the pool, the share or the node's folder: clean, relative, "/"-separated; empty for a whole share.
	Subdir string `json:"subdir,omitempty"`
	// Adopted says that the directory was there before the volume: never chowned, never deleted.
	Adopted bool        `json:"adopted,omitempty"`
	UID     uint32      `json:"uid"`
	GID     uint32      `json:"gid"`
	Mode    fs.FileMode `json:"mode"` // permission bits of the directory; dir_mode of a share
	// FileMode is file_mode of a share; 0 means Mode without the execute bits.
	FileMode fs.FileMode `json:"file_mode,omitempty"`
	ReadOnly bool        `json:"read_only,omitempty"`
	// Whole asks for the pool's root, read-only and without the private folder (class backup).
	Whole bool `json:"whole,omitempty"`
	// Memory asks for a tmpfs of Size bytes (class temp).
	Memory bool  `json:"memory,omitempty"`
	Size   int64 `json:"size,omitempty"`
}

// Volume is what a backend is told of one volume.
type Volume struct {
	ID   string // immutable, random, 32 hexadecimal digits
	Name string
	// Class, and what access= and sqlite= said, are for the trash, so that a restored volume is as this one was.
	Class, Access string
	SQLite        bool
	Location      Location
}

// Request is a volume that shall be created, as far as options and class say it. Empty fields are for the backend to fill
// from the settings, or to refuse.
type Request struct {
	Name     string
	Location Location
	// Username, Password and Domain were given inline or in o=; the driver stores them (never in the record).
	Username, Domain string
	Password         mounter.Secret
	// Options is the text of o=, as the user wrote it.
	Options string
	// Device is the text of device=, as the user wrote it.
	Device string
	// Share is the text of share=, a configured share's name or //server/share.
	Share string
	// Explicit says which of uid, gid, mode, subdir and credentials the user gave.
	Explicit map[string]bool
}

// Plan is a checked request.
type Plan struct {
	Location Location
	// Username, Password and Domain, when the user gave them inline: the driver stores them under Location.Credentials,
	// which the driver sets.
	Username, Domain string
	Password         mounter.Secret
	// Warnings are for the log and for Status; each is a sentence.
	Warnings []string
}

// Pool is where an OCFS2 volume's directory, holder record and trash live. The catalog and the holders are kept by the
// driver; the backend only says where.
type Pool struct {
	Name       string
	UUID       string // 32 upper-case hexadecimal digits
	Path       string // where the host has it mounted
	Private    string // the private folder, as a path that this process can open
	Standalone bool
}

// Staged is storage that is proven and ready: what the driver binds.
type Staged struct {
	Base     mounter.Place
	Device   string // of the file system that was proven at Base, as in [mounter.Bind]; "" is not compared
	Subdir   string
	ReadOnly bool
	Mask     []string
	// Tmpfs, when set, is mounted at the target instead of a bind; its Target is empty.
	Tmpfs *mounter.Tmpfs
	// Pool is set for OCFS2 volumes.
	Pool *Pool
	// Replaces says that storage may have taken another one's place: what an earlier Mount bound at the target is taken away when it
	// is not this. Containers keep what they have.
	Replaces bool
}

// Backend is one kind of storage. Its methods are called for one volume at a time, for different volumes at once, and
// respect their context's deadline. An error is a text for the person who made the volume: what is wrong, the value, what
// to do; all problems of a Plan are reported together (go-multierror).
type Backend interface {
	// Kind names the storage.
	Kind() string
	// Plan completes and checks a request. It touches no storage.
	Plan(ctx context.Context, request Request) (Plan, error)
	// Create proves the storage and makes the volume's directory, or adopts the one that is there, and returns the location
	// with what it found (PoolUUID, Adopted). It is repeated after a crash and must then come to the same end: own says that
	// an earlier, interrupted Create of this very volume may have made the directory.
	Create(ctx context.Context, volume Volume, own bool) (Location, error)
	// Stage proves the storage (DESIGN D4) and says what to bind. It never makes, chowns or repairs a volume's directory,
	// except for disposable storage, which is made on first use.
	Stage(ctx context.Context, volume Volume) (Staged, error)
	// Remove does what the kind does on remove: move to the trash, delete, or nothing. It is repeated after a crash; a
	// directory that is gone already is success.
	Remove(ctx context.Context, volume Volume) error
	// Status tells facts for `docker volume inspect`, from memory only: it never waits.
	Status(volume Volume) map[string]any
}

// Errors of a backend, for the driver's decisions. Their texts are never shown alone.
var (
	// ErrUnavailable says that the storage is away now (pool not mounted, server not reachable) and may come back.
	ErrUnavailable = errors.New("the storage is not available now")
	// ErrRefused says that a Remove, or moving data out of the trash, must not be done now, and that nothing of it was.
	ErrRefused = errors.New("refused")
	// ErrLogin says that a server refused who logs in.
	ErrLogin = errors.New("the login was refused")
	// ErrNotConfigured says that the settings name no such pool or share.
	ErrNotConfigured = errors.New("not configured")
	// ErrUnused says that a pool is the file system that was asked for, and has no marker: no volume was ever made on it.
	ErrUnused = errors.New("the pool has no marker")
)
