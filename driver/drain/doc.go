// Package drain takes a pool out of use on this node, has its file system checked, and brings it back.
//
// A [Keeper] is one node's. What it needs done it asks of others ([Options]): of the engine which containers use the pool's volumes,
// and to stop and start them; of the driver to unmount volumes; of the pools' backend everything about the pool itself. This package
// is the order of the steps, and what is remembered of them.
//
// # Drain
//
//  1. Nothing is done while containers use the pool, unless they may be stopped, nor a repair while other nodes have it mounted.
//  2. From now on its volumes are refused. What was starting at that moment is found now.
//  3. The containers are written down and stopped, their volumes unmounted, the holds given back.
//  4. The pool is refused as a whole and unmounted, and its disk checked.
//  5. Undrain: it is mounted and proven, its volumes are admitted, and what was stopped is started.
//
// # What it keeps
//
// A drain is work of the plugin, not of its command: it goes on when the command is ended ([Keeper.Progress] has the news), and one file
// for each pool, in the state folder, says that it is out of use and which containers were stopped. So a restarted plugin mounts nothing
// that is being checked, and starts what a crash in the very last step left stopped ([Keeper.Finish]). Every step can be repeated:
// after a failure the pool stays drained, which the error says, and the same call made again begins at the first step and finds most
// of them done. A file that cannot be read is an error that names it; nothing is forgotten for it.
package drain
