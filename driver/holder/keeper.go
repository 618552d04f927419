package holder

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// Directory is what is held: a directory of a pool, whatever the volumes' names.
type Directory struct {
	Pool   backend.Pool
	Subdir string // clean, relative, "/"-separated
}

// Kernel is what the keeper asks of the kernel. mounter.Mounter is one.
type Kernel interface {
	Do(ctx context.Context, key string, work func() error) error
	Cluster(ctx context.Context, poolUUID string) (mounter.Cluster, error)
	BootID() string
}

// Options say how a keeper works.
type Options struct {
	// State is the node's folder for releases that are not finished; it is made when missing.
	State string
	// Node is this node's name, Instance this plugin's: stable across restarts, different for two plugins of one node.
	// An empty Instance is made once and kept in State.
	Node, Instance string
	Kernel         Kernel
	Log            *logrus.Entry
	// Wait says how long a Join waits for another node (LEASE_WAIT); it is asked at every Join.
	Wait func() time.Duration
	// Poll is the pause between two looks at the record; 0 means 500 ms.
	Poll time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Shared and Local are options of the pool's and the node's folders, for tests that inject faults.
	Shared, Local []durable.Option
}

// JoinResult is a hold that was joined.
type JoinResult struct {
	Record Record
	Waited time.Duration
	// TakenOver are the holders of dead or rebooted nodes that the join removed.
	TakenOver []Holder
	// Again says that the volume was held by this plugin already.
	Again bool
}

// HeldError says that another node has a directory and that the time to wait for it is over.
type HeldError struct {
	Directory Directory
	Mode      Mode   // what was asked
	Holder    Holder // who is in the way, the first of them
	Wait      time.Duration
}

// Error says who has it, since when, and what to do.
func (e *HeldError) Error() string { return "held" }
