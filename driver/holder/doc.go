// Package holder keeps who has a directory of a pool: one node, or many (DESIGN D8).
//
// Why: under o2cb POSIX locks are local to a node, and SQLite opened from two nodes loses committed rows silently (FACTS 2).
// flock(2) is cluster-wide but falls with a process, so it cannot be the lease. The lease is a record in the pool,
//
//	<private>/holders/<key of the directory>/record.json   who has it
//	<private>/holders/<key of the directory>/lock          flock around each read-modify-write
//	<private>/nodes/<node>.json                            the boot id that a node runs now
//
// and whoever stands in the record has the directory, dead or alive, until the record is changed.
//
// # Join
//
// A volume of this node joins when no other node is in the way: no other node at all for an exclusive hold, none with an
// exclusive one for a shared hold. Two plugins of one node are one holder node. A holder in the way is removed when it is
// proven gone: its node is not live in this pool's heartbeat region while this node is (unknown means alive), or it has
// published another boot id than the one it joined with. As a node publishes its boot id before its first join of every
// boot, another one is always a newer one. Otherwise Join looks at the record again and again until the time is over, and
// then says who has the directory, since when, and what to do ([HeldError]).
//
// A join is one file on the pool, with one fsync when it is exclusive and none when it is shared. Liveness is read under the lock,
// so that a thread that was stuck for a minute does not act on an old view. A thread that gets the lock after its caller gave up
// changes nothing; should it write in that very instant, the hold is released again like one that a crash left.
//
// # Release
//
// [Keeper.Intend] writes down on the node that a hold will be released; then the file system is synced; then
// [Keeper.Release] changes the record. A crash or a hang in between frees the directory late ([Keeper.Resume]), never early.
//
// On a standalone pool there is one possible holder, this node, whatever it was called before; the code is the same.
//
// Not covered: o2cb has no I/O fencing against a virtual machine that is paused, declared dead, and resumed.
package holder
