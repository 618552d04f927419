// Package driver is the life of a volume: names, options, class and backend, records, holders, references, and the order of
// the steps. It knows no HTTP and no Docker type (plugin/protocol translates), makes no kernel call (mounter does) and knows
// no kind of storage (the backends do).
//
// # Rules that every call keeps
//
//   - Calls for one volume take turns; calls for different volumes never wait for each other.
//   - Get, List and Path answer from memory. They never wait, whatever is broken.
//   - An intent is recorded before a durable step, and completed by the next start: a kill -9 at any instruction loses nothing.
//   - Nothing is made, chowned or repaired by a Mount; a failed Mount undoes what it did, in reverse.
//   - The mount table is the truth about mounts, the holder record about holds, the reference counter about the engine's uses;
//     the three are brought in line by the sweep, at start and every 30 seconds.
//   - Errors are for the person who typed the command: what is wrong, the value, what to do.
//
// # Where a call is
//
// create.go, remove.go, mount.go, unmount.go and read.go hold the volume protocol; package plan applies the decision matrix;
// run.go, rounds.go, restore.go, dispose.go, heal.go and attach.go are the background; watch.go and guarding.go look after what is in
// use; release.go gives holds back; vacate.go takes volumes off their pool, for drain.go and leave.go; admin.go and trash.go serve the
// operator.
package driver
