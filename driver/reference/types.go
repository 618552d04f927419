package reference

import (
	"errors"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/internal/durable"
)

// ErrOtherVolume says that uses are left of an older volume of the same name.
var ErrOtherVolume = errors.New("an older volume of this name is still in use")

// Engine is one incarnation of the Docker engine. Its start time tells it from a later process with the same number.
type Engine struct {
	PID     int    `json:"pid"`
	Started uint64 `json:"started"` // clock ticks since boot, field 22 of /proc/PID/stat (proc(5))
}

// Use is one ID that the engine mounted a volume with.
type Use struct {
	ID     string    `json:"id"`
	Engine Engine    `json:"engine"`
	Since  time.Time `json:"since"` // in UTC
}

// Volume is a volume that is in use. It is kept by name, because name and ID are all that the engine's Unmount brings.
type Volume struct {
	Name string `json:"volume"`
	ID   string `json:"volume_id"`
	Uses []Use  `json:"uses"` // in the order in which they came
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
	File string // where it is now
	Text string // what is wrong and what to do
}
