//go:build lab && long

package cluster

import (
	"strings"
	"testing"
)

// testUntilDatabase has two nodes use a volume of class config, until one of them makes a database far down in it.
func (n *nodes) testUntilDatabase(t *testing.T) {
	heal(t, n.sites...)
	one, two := n.sites[0], n.sites[1]
	one.eventually(t, created("plex", "config"))
	one.ok(t, strings.Replace(run("plex"), "docker run --rm", "docker run --detach --name keeper", 1)+" sleep infinity")
	two.eventually(t, run("plex")+" touch /config/Preferences.xml")
	const deep = "'/config/Library/Application Support/Plex Media Server/Plug-in Support/Databases'"
	one.ok(t, "docker exec keeper sh -c "+quote("mkdir -p "+deep+" && cd "+deep+" && sqlite3 library.db 'create table t (x)'"))
	one.eventually(t, "docker homelab holder show plex | grep exclusive")
	said, _ := two.refused(t, run("plex")+" true")
	has(t, said, "node node1 has it for itself alone")
	one.ok(t, "docker rm --force keeper")
	two.eventually(t, run("plex")+" true")
	one.eventually(t, removed("plex"))
}
