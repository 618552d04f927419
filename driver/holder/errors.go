package holder

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// ErrLive says that a hold is not broken because its node is live, or not proven to be dead.
var ErrLive = errors.New("the node may still write to the directory")

// ErrNone says that there is nothing to break: the node has no hold.
var ErrNone = errors.New("it has none")

// ErrUnrecorded says that a release could not be put on record: the hold is found again only when the pool's holds are listed.
var ErrUnrecorded = errors.New("record the release")

// HeldError says that another node has a directory and that the time to wait for it is over.
type HeldError struct {
	Directory Directory
	Volume    string // the name of the volume that was to be mounted
	Mode      Mode   // what was asked
	Holder    Holder // who is in the way, the first of them
	Wait      time.Duration
}

// Error says who has it, since when, and what to do.
func (e *HeldError) Error() string {
	use := "has it for itself alone"
	if e.Holder.mode() == Shared {
		use = "uses it, and this volume needs it for one node alone"
	}
	return fmt.Sprintf("directory %q of pool %s: node %s %s, since %s; waited %s for it. Stop the container that uses it on %s "+
		"(Swarm tries again by itself); if that node is gone for good, `docker homelab holder break %s %s` frees the directory",
		e.Directory.Subdir, e.Directory.Pool.Name, e.Holder.Name, use, e.Holder.Since.UTC().Format("2006-01-02 15:04:05 UTC"),
		e.Wait.Round(time.Second/10), e.Holder.Name, cmp.Or(e.Volume, "VOLUME"), e.Holder.Name)
}
