package holder

import (
	"context"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// Keeper joins and releases holds for one node.
type Keeper struct{}

// New opens a keeper.
func New(ctx context.Context, options Options) (*Keeper, error) { return &Keeper{}, nil }

// Join takes a hold of a directory for a volume of this node, waiting for other nodes.
func (k *Keeper) Join(ctx context.Context, directory Directory, mode Mode, volume string) (JoinResult, error) {
	return JoinResult{}, nil
}

// Intend records durably, on the node, that a hold is going to be released. Call it before the file system is synced.
func (k *Keeper) Intend(directory Directory, volume string) error { return nil }

// Release gives a volume's hold back. The caller has unmounted the volume and synced the pool. It records the intent first
// when Intend has not; after an error, Resume finishes it.
func (k *Keeper) Release(ctx context.Context, directory Directory, volume string) error { return nil }

// Resume finishes the releases of a pool that a crash or a hang left, after the caller has synced the pool. A volume for
// which mounted says yes keeps its hold. It returns the volumes that were released.
func (k *Keeper) Resume(ctx context.Context, pool backend.Pool, mounted func(volume string) bool) ([]string, error) {
	return nil, nil
}

// Pending lists the volumes whose release is not finished, per pool UUID.
func (k *Keeper) Pending() map[string][]string { return nil }

// Switch changes the mode of a hold that this plugin has ("shared until a database", DESIGN D5).
func (k *Keeper) Switch(ctx context.Context, directory Directory, mode Mode, volume string) error { return nil }

// List returns the records of a pool that have holders, sorted by subdir.
func (k *Keeper) List(ctx context.Context, pool backend.Pool) ([]Record, error) { return nil, nil }

// Show returns the record of one directory; one that nobody ever held has no holders.
func (k *Keeper) Show(ctx context.Context, directory Directory) (Record, error) { return Record{}, nil }

// Break removes a node's hold. It is refused while the node is live, unless force is set.
func (k *Keeper) Break(ctx context.Context, directory Directory, node string, force bool) error { return nil }

// Own says whether a holder is this plugin in this boot.
func (k *Keeper) Own(holder Holder) bool { return false }

// PublishNode writes this node's boot id where the others look for it. Join does it by itself, once per pool.
func (k *Keeper) PublishNode(ctx context.Context, pool backend.Pool) error { return nil }

// Forget removes the folder of a directory that nobody holds and that has no mark.
func (k *Keeper) Forget(ctx context.Context, directory Directory) error { return nil }

// Overlaps says which of the existing directories is above or below subdir; equal ones are allowed.
func Overlaps(existing []string, subdir string) error { return nil }
