package holder

import "time"

// Version is the version of the records that this package writes.
const Version = 1

// Mode says who may have a directory at once.
type Mode string

// Modes of a hold.
const (
	Exclusive Mode = "exclusive" // one node
	Shared    Mode = "shared"    // many nodes
)

// Record says who has one directory of a pool. It is the ownership itself (DESIGN D8).
type Record struct {
	Version int    `json:"version"`
	Subdir  string `json:"subdir"`
	// Mode is the strongest mode of any use: exclusive when one of them is.
	Mode       Mode     `json:"mode"`
	Generation uint64   `json:"generation"` // grows with every change
	Holders    []Holder `json:"holders"`
}

// Holder is one plugin process's share of a hold. Two of one node are one holder node.
type Holder struct {
	Node     int    `json:"node"`     // the o2cb node number; 0 on a standalone pool
	Name     string `json:"name"`     // the node's name
	Boot     string `json:"boot_id"`  // the kernel's boot id when it joined
	Instance string `json:"instance"` // which plugin process of the node
	Uses     []Use  `json:"volumes"`
	// Since is when the first of the uses joined, in UTC.
	Since time.Time `json:"since"`
}

// Use is one volume that a holder has mounted.
type Use struct {
	Volume string `json:"volume"` // the volume's ID
	Mode   Mode   `json:"mode"`
}
