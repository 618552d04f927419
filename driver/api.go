package driver

import (
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/drain"
	"github.com/homelab-storage/homelab-storage/driver/holder"
	"github.com/homelab-storage/homelab-storage/driver/reference"
)

// Info is what the engine and the operator are told of one volume.
type Info struct {
	Name       string
	Mountpoint string // always <target root>/<name>, whether mounted or not
	CreatedAt  time.Time
	Status     map[string]any
}

// Engine is the incarnation of the Docker engine that sent a call: its process and when that started, in clock ticks
// since boot (proc(5), stat field 22). References of an ended incarnation are reaped when nothing uses them any more.
type Engine = reference.Engine

// Use is one use of a volume by a container.
type Use = reference.Use

// Container is a running container that uses volumes of ours.
type Container = drain.Container

// DrainOptions say how a pool is drained.
type DrainOptions = drain.Request

// DrainReport is how far a drain, or its end, has come.
type DrainReport = drain.Report

// TrashEntry is the data of one removed volume.
type TrashEntry = backend.TrashEntry

// HolderRecord is who uses one directory of a pool.
type HolderRecord struct {
	Pool string `json:"pool"`
	holder.Record
}

// HolderBroken is what a node said whose hold was taken away. It is empty when the node was not asked: it is proven to be gone.
type HolderBroken struct {
	// GivenBack says that the node gave the hold back itself, because nothing uses the directory there: nothing was forced.
	GivenBack bool `json:"given_back"`
	// Use says what uses the directory there, and Unheard why that is not known.
	Use     string `json:"use,omitempty"`
	Unheard string `json:"unheard,omitempty"`
}

// Health is the driver's own state for `docker homelab status` and metrics.
type Health struct {
	Version  string           `json:"version"`
	Node     string           `json:"node"`
	Started  time.Time        `json:"started"`
	Volumes  int              `json:"volumes"`
	Mounted  int              `json:"mounted"`
	Problems []string         `json:"problems"`           // sentences; empty when all is well
	Warnings []string         `json:"warnings,omitempty"` // sentences about what works, and may not do so for long
	Pools    []map[string]any `json:"pools"`
	Shares   []map[string]any `json:"shares"`
	Catalogs []map[string]any `json:"catalogs"`
}
