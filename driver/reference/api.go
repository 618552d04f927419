package reference

import (
	"time"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// Engine is one incarnation of the Docker engine. Its start time tells it from a later process with the same number.
type Engine struct {
	PID     int    `json:"pid"`
	Started uint64 `json:"started"` // clock ticks since boot, field 22 of /proc/PID/stat (proc(5))
}

// Use is one ID that the engine mounted a volume with.
type Use struct {
	ID     string    `json:"id"`
	Engine Engine    `json:"engine"`
	Since  time.Time `json:"since"`
}

// Volume is a volume that is in use. It is kept by name, because name and ID are all that the engine's Unmount brings.
type Volume struct {
	Name string `json:"volume"`
	ID   string `json:"volume_id"`
	Uses []Use  `json:"uses"`
}

// Options say how a counter is opened.
type Options struct {
	Log *logrus.Entry
	Now func() time.Time // nil means time.Now
	// Durable are options of the folder, for tests that inject faults.
	Durable []durable.Option
}

// Problem is a file that is not used.
type Problem struct {
	File, Text string
}

// Counter counts the uses of volumes.
type Counter struct{}

// Open loads a counter from a folder, which is made when missing.
func Open(dir string, options Options) (*Counter, error) { return &Counter{}, nil }

// Add counts a use and returns how many there are. The same ID again only takes the engine's new incarnation.
func (c *Counter) Add(volume, volumeID, id string, engine Engine) (int, error) { return 0, nil }

// Drop takes a use away and returns how many are left. An unknown volume or ID is no error.
func (c *Counter) Drop(volume, id string) (left int, err error) { return 0, nil }

// Of returns the uses of one volume.
func (c *Counter) Of(volume string) (Volume, bool) { return Volume{}, false }

// All returns every volume that is in use, sorted by name.
func (c *Counter) All() []Volume { return nil }

// Reap takes away the uses of a volume for which gone says yes, and returns how many are left.
func (c *Counter) Reap(volume string, gone func(Use) bool) (left int, err error) { return 0, nil }

// Trouble lists the files that were set aside.
func (c *Counter) Trouble() []Problem { return nil }
