// Package catalog keeps the records of all volumes (DESIGN D7): one set for the whole cluster in a folder of the catalog
// pool, and a mirror of it on every node, from which all reads are answered.
//
// # The shared folder
//
//	catalog.json           version, UUID, generation and the last changes
//	volumes/NAME.json      one record each
//	tombstones/ID.json     one for each volume removed in the last 90 days
//	damaged/NAME.json.N    records that could not be read, set aside
//	lock                   flock(2), cluster-wide on OCFS2, around each change
//
// A change is two durable files, four fsyncs, whatever the number of volumes: first catalog.json with the next generation
// and what is about to change, then the record or the tombstone. Whoever takes the lock next sees from the second file
// whether the change was completed, and marks one that was not as void. A reader compares generations (one small read) and
// reads only the files that the last changes name; when it is further behind it reads all.
//
// # What is never forgotten
//
// A mirror entry disappears by a tombstone of the same catalog and by nothing else. Every change has a random token: a
// folder with another UUID, an older generation or another token for a known generation does not continue what this node
// knows (a pool formatted anew, a NAS snapshot rolled back, another pool). The catalog is then frozen: reads go on, Put and
// Remove are refused with [ErrFrozen], until an operator chooses [Catalog.Adopt] or [Catalog.Restore]. Neither destroys a
// record: what the shared folder does not have is kept as lost, what the node does not have is taken over.
//
// # Hostile files
//
// Anything may stand in the folder. Files are read through package durable, bounded, parsed strictly ([ParseRecord]) and set aside
// when they break a rule, with a [Problem] that says so; the others are not affected. A record of a newer version is used
// when it parses, left alone when it does not, and never rewritten.
//
// # Waiting
//
// Get, ByID, List, State and Trouble take a memory lock for an instant and never touch a disk (before the mirror is loaded,
// some tens of milliseconds after Open, they wait for that). Everything else is one [Doer] call with one key per catalog,
// so that a pool that hangs costs its caller's deadline once and an error at once afterwards.
//
// A node's own catalog (local and standalone volumes) is the same type with a folder of the node as the shared one.
package catalog
