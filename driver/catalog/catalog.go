package catalog

import (
	"context"
	"errors"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// Errors for the driver's decisions. The texts that carry them are for the person who made the call.
var (
	// ErrDetached says that the catalog's folder is not reachable now: reads go on, writes are refused.
	ErrDetached = errors.New("the volume catalog is away")
	// ErrFrozen says that the folder does not continue what this node knows: reads go on, writes are refused until an
	// operator adopts or restores.
	ErrFrozen = errors.New("the volume catalog is frozen")
	// ErrExists says that another volume has the name; Put returns its record.
	ErrExists = errors.New("another volume has the name")
	// ErrChanged says that the record was changed since it was read; Put returns the present one.
	ErrChanged = errors.New("the record was changed meanwhile")
	// ErrGone says that the volume was removed.
	ErrGone = errors.New("the volume was removed")
	// ErrInvalid says that a record breaks the rules of [ParseRecord].
	ErrInvalid = errors.New("not a valid record")
	// ErrDamaged says that a record of the name was set aside; a new volume of the name would hide it.
	ErrDamaged = errors.New("the record of the name is damaged")
)

// Doer runs file work that may hang, in a thread of its own. mounter.Mounter is one.
type Doer interface {
	Do(ctx context.Context, key string, work func() error) error
}

// Options say how a catalog is opened.
type Options struct {
	// Name tells catalogs apart in logs, texts and Do keys: "cluster", "node".
	Name string
	// Mirror is the node's folder that keeps what is known across restarts; it is made when missing. Empty means memory.
	Mirror string
	// Doer runs all work on the shared folder.
	Doer Doer
	Log  *logrus.Entry
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Token makes random identifiers of 32 hexadecimal digits; nil means NewID.
	Token func() string
	// Shared and Node are options of the shared and the node's folder, for tests that inject faults.
	Shared, Node []durable.Option
}

// Status is what a catalog says of itself.
type Status struct {
	UUID       string // empty until the catalog was attached once
	Generation uint64 // of the newest change that this node knows
	Attached   bool
	Frozen     string // why writes are refused and what to do; empty when they are not
	Records    int
	Problems   int
}

// Problem is a file that is not used, with what to do about it.
type Problem struct {
	File string // relative to the catalog's folder, or the mirror's path
	Name string // the volume's name, when known
	Text string // what is wrong and what to do
}
