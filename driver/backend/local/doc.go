// Package local keeps disposable volumes on the node (DESIGN D5): class cache in a folder, class temp in memory.
//
// Data is below <state dir>/local/volumes/<volume ID> of the host. Each node has its own, made with owner and mode on first
// use: in a folder of another name that is renamed when it is complete, so that nobody ever sees half of it. A tmpfs has
// [DefaultSize] unless size= says more. Remove deletes this node's folder; the driver has the other nodes do the same.
//
// A delete follows no link, enters no other file system and is refused while anything is mounted in the folder.
package local
