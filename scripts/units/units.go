// Package units has the systemd units that `docker homelab host install` puts on a host; they lie beside it as they are written
// there, but for the words in {{braces}}. (homelab-storage.service, of the plain daemon, is installed by hand.)
package units

import (
	_ "embed" // for the templates
	"strings"
	"time"
)

// Pools is the name of the unit that waits for the pools at boot and unmounts them at shutdown.
const Pools = "homelab-storage-pools.service"

//go:embed homelab-storage-pools.service
var pools string

// Engine is the addition to the engine's own unit that ends what an engine left that was killed at the wrong moment.
const Engine = "docker.service.d/homelab-storage.conf"

// EngineAddition is the text of that addition.
//
//go:embed docker.conf
var EngineAddition string

// PoolsUnit is that unit's text: the engine waits for the pools for so long at most, with the command that is at program.
func PoolsUnit(program string, wait time.Duration) string {
	return strings.NewReplacer("{{program}}", program, "{{wait}}", wait.String()).Replace(pools)
}
