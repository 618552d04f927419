// Package shares keeps databases off SMB shares, where they lock up or lose rows (DESIGN D5, FACTS 4). Package guard finds a
// database in a directory; this one knows which volumes to look into, when, and what follows.
//
// A [Guard] is one node's. It has no goroutine of its own: the driver tells it what it needs to know and gives it the time to look.
//
//	guard := shares.New(shares.Options{...})
//	guard.Mounted(name)                          // after a Mount
//	due := guard.Round(ctx, records, inUse)      // every shares.Every
//	err := guard.Look(ctx, record)               // for each that is due; a share that hangs holds up this call and no other one
//	err := guard.Admit(ctx, record, directory)   // before a Mount: an error refuses it
//
// # What it looks at
//
// Volumes on shares that are not read-only and that something on this node uses. In two ways:
//
//   - what containers have open for writing, as /proc tells with every Round, which asks no server; the first bytes of these files
//     are read every 20 s;
//   - all of a volume, 10 s after a Mount, and again after a minute, ten minutes, and then every hour: what an application creates
//     at its first start is there when the second look comes.
//
// A look goes by the share's own mount, so that the volume can be unmounted meanwhile, and holds nothing while it waits.
//
// # What follows
//
// A database that lies in a volume is a warning: nobody may be using it ([Guard.Warnings]). One that is open is a problem
// ([Guard.Problems]), and the volume is not mounted once more until it is closed. A volume that refuses databases ([Refuses]) is
// looked through before each Mount, and not mounted with one inside. Nothing that runs is stopped: a Mount is refused, and the
// sentence has the commands that move the data to the cluster filesystem.
//
// What is not known in time is not refused. The guard is a safety net, as package guard is; a share that is slow is no reason to keep
// containers down.
package shares
