// Package directory makes, opens and deletes directories below a root without ever following a symbolic link or entering
// another file system: what is below a pool, a share or a node's folder can be changed by containers while we look at it.
//
// Every step opens one component and compares what was opened with what was seen as a real directory (os.SameFile), so that
// a directory swapped for a link between two calls is an error and never a way out. Everything goes through os.Root.
//
// Do not use it on paths that an operator configured: those may well contain links, and package mounter follows them.
package directory
