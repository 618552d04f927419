package backend

import (
	"context"
	"time"
)

// Upkeep is what maintenance asks of a backend whose pools it takes away for a while. A pool is named; errors are sentences.
type Upkeep interface {
	// Refuse keeps everybody off a pool's volumes until Admit, and with all off the pool itself; Upkeep's own calls go on.
	Refuse(pool string, since time.Time, all bool)
	// Admit ends a refusal.
	Admit(pool string)
	// Neighbours names the other nodes that have the pool mounted.
	Neighbours(ctx context.Context, pool string) ([]string, error)
	// Lower unmounts the pool, when nothing on this node has it any more; a pool that is not mounted is success. What keeps it
	// is named.
	Lower(ctx context.Context, pool string) error
	// CheckDisk checks the file system of a pool that is not mounted, and repairs it if asked to.
	CheckDisk(ctx context.Context, pool string, repair bool) (Verdict, error)
	// Lift mounts the pool and proves it.
	Lift(ctx context.Context, pool string) error
	// Retired is an error when a pool is mounted that the backend mounted and that is not configured any more.
	Retired(ctx context.Context) error
	// Leave unmounts the pool when the backend mounted it, and says so in sentences. What the host did itself stays. Refuse the
	// pool first.
	Leave(ctx context.Context, pool string) ([]string, error)
	// Disconnect ends the iSCSI session that the backend made for the pool, unless a disk of it is in use, and says so. Leave all
	// pools first: several may have their disks in one session.
	Disconnect(ctx context.Context, pool string) ([]string, error)
}

// Verdict is what a check of a file system found.
type Verdict struct {
	Command  string   // as it was run
	Count    int      // of inconsistencies
	Findings []string // the first of them, a line each
}
