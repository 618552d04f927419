// Package units has the systemd units that `docker homelab host install` puts on a host; they lie beside it as they are written
// there, but for the words in {{braces}}. (homelab-storage.service, of the plain daemon, is installed by hand.)
package units

import (
	_ "embed" // for the templates
	"strings"
	"time"
)

// File is one below the folder of an administrator's units (systemd.unit(5)).
type File struct {
	Name string
	text string
	// Enabled says that systemd is to start it now and at every boot; other files belong to such a one.
	Enabled bool
	// ActsWhenStopped says that stopping it unmounts pools, as at shutdown.
	ActsWhenStopped bool
}

// Names of the units that are enabled.
const (
	// Pools waits for the pools at boot and unmounts them at shutdown.
	Pools = "homelab-storage-pools.service"
	// Revive has the plugin enabled again that the engine gave up.
	Revive = "homelab-storage-revive.timer"
)

// Engine is the addition to the engine's own unit that ends what an engine left that was killed at the wrong moment.
const Engine = "docker.service.d/homelab-storage.conf"

//go:embed homelab-storage-pools.service
var pools string

//go:embed docker.conf
var engine string

//go:embed homelab-storage-revive.service
var reviveService string

//go:embed homelab-storage-revive.timer
var reviveTimer string

// All lists the files in the order in which they are written. A file that is not enabled belongs to the next one that is.
func All() []File {
	return []File{
		{Name: Engine, text: engine},
		{Name: Pools, text: pools, Enabled: true, ActsWhenStopped: true},
		{Name: "homelab-storage-revive.service", text: reviveService},
		{Name: Revive, text: reviveTimer, Enabled: true},
	}
}

// Text is what the file says: the engine waits for the pools for so long at most, with the command that is at program.
func (f File) Text(program string, wait time.Duration) string {
	return strings.NewReplacer("{{program}}", program, "{{wait}}", wait.String()).Replace(f.text)
}
