// Package holder keeps who has a directory of a pool: many nodes, or one (DESIGN D8).
package holder
