// Package box is a set of namespaces on the host in which everything of one lab lives: the virtual
// machines, the storage servers, the bridge between them.
//
// Its first process is the lab's agent (package remote). A PID namespace ends with its first
// process, and this one ends when its standard input does; so whatever way the owner of a [Box]
// goes, SIGKILL included, the kernel ends every process of the lab and with them its network
// interfaces and mounts. Nothing is named on the host, so two labs cannot meet and there is nothing
// to reap.
//
// Inside, /proc shows the box's own processes, mounts stay private and /run is empty and its own.
// Everything else is the host's file tree.
//
// It needs root. It is no sandbox: what runs inside is root on the host's files.
package box
