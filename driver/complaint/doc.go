// Package complaint keeps sentences about volumes and pools for as long as they are true: that another node has what this one
// uses, that a database lies on a share.
//
// Whoever looks after something has a [Book] for each kind of complaint and sets what it finds at every look, "" when all is well.
// Set tells whether a sentence is new, so that the log has it once and not with every look; Status and health read the book.
package complaint
