//go:build lab && long

package cluster

import (
	"fmt"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// frozen is what a node says whose catalog is not the one that it knows; the two commands end it.
var frozen = []string{"is not used", "docker homelab catalog restore", "docker homelab catalog adopt"}

// offline unmounts the pool everywhere, as an operator does.
func (n *nodes) offline(t *testing.T) {
	t.Helper()
	each(t, n.sites, func(s *site) error {
		_, err := s.node.Output(t.Context(), "docker homelab drain media-apps --hold")
		return err
	})
}

func (n *nodes) online(t *testing.T) {
	t.Helper()
	each(t, n.sites, func(s *site) error {
		_, err := s.node.Output(t.Context(), "docker homelab undrain media-apps")
		return err
	})
}

// remember makes a volume with something in it.
func (n *nodes) remember(t *testing.T, volume string) {
	t.Helper()
	n.sites[0].eventually(t, created(volume, "db"))
	n.sites[0].eventually(t, run(volume)+" sh -c 'echo "+volume+" >/config/file'")
	for _, s := range n.sites { // each has it in its mirror
		s.eventually(t, "docker volume ls --quiet | grep --line-regexp "+volume)
	}
}

// detected finds on every node that the catalog is not used any more, that volumes are listed, and that none is made.
func (n *nodes) detected(t *testing.T, why string, volumes ...string) {
	t.Helper()
	for _, s := range n.sites {
		has(t, s.eventually(t, "docker homelab status | grep 'is not used'"), append(frozen, why)...)
		for _, volume := range volumes {
			s.ok(t, "docker volume ls --quiet | grep --line-regexp "+volume+" && docker volume inspect "+volume)
		}
		said, _ := s.refused(t, created("another", "db"))
		has(t, said, append(frozen, why)...)
	}
}

// usable makes and removes a volume on every node, and finds others on each.
func (n *nodes) usable(t *testing.T, volumes ...string) {
	t.Helper()
	for _, s := range n.sites {
		s.eventually(t, created("another", "db"))
		s.eventually(t, run("another")+" sh -c 'echo fresh >/config/file'")
		s.eventually(t, removed("another"))
		for _, volume := range volumes {
			s.eventually(t, "docker volume ls --quiet | grep --line-regexp "+volume)
		}
		s.ok(t, "! docker homelab status | grep 'is not used'")
	}
}

// testRolledBack puts back a snapshot of the NAS: volumes made since are missing on it, and one removed since is there again.
func (n *nodes) testRolledBack(t *testing.T) {
	heal(t, n.sites...)
	one := n.sites[0]
	n.remember(t, "kept")
	n.remember(t, "older")
	n.offline(t)
	assert.NilError(t, one.lab.NAS().Snapshot(t.Context(), "media-apps"))
	n.online(t)
	n.remember(t, "newer")
	one.eventually(t, removed("older"))
	n.offline(t)
	assert.NilError(t, one.lab.NAS().Rollback(t.Context(), "media-apps"))
	n.online(t)
	measure(t, "detected on every node", func() { n.detected(t, "the pool was rolled back", "kept", "newer") })
	assert.Equal(t, one.ok(t, run("kept")+" cat /config/file"), "kept", "what is there is used")
	has(t, one.ok(t, "docker homelab catalog restore"), "Wrote ")
	measure(t, "usable on every node", func() { n.usable(t, "kept", "newer") })
	for _, s := range n.sites {
		s.ok(t, "! docker volume ls --quiet | grep --line-regexp older") // it was removed, and stays so
	}
	said, _ := one.refused(t, run("newer")+" true")
	has(t, said, "the directory "+poolPath+"/newer of volume newer does not exist")
	one.eventually(t, removed("newer"))
	one.eventually(t, removed("kept"))
}

// testFormattedSame makes the file system anew with the UUID that it had.
func (n *nodes) testFormattedSame(t *testing.T) {
	heal(t, n.sites...)
	one := n.sites[0]
	n.remember(t, "kept")
	n.offline(t)
	assert.NilError(t, one.node.FormatPool(t.Context(), "media-apps", "-U "+strings.ToUpper(strings.ReplaceAll(one.uuids["media-apps"], "-", ""))))
	n.online(t)
	said, _ := one.refused(t, run("kept")+" true")
	has(t, said, "it was formatted again")
	n.made(t, one)
	n.detected(t, "catalog.json is missing", "kept")
	has(t, n.sites[1].ok(t, "docker homelab catalog restore"), "Wrote 1 record")
	n.usable(t, "kept")
	said, _ = one.refused(t, run("kept")+" true")
	has(t, said, "the directory "+poolPath+"/kept of volume kept does not exist")
	one.eventually(t, removed("kept"))
}

// made gives a pool that was formatted its marker, as its first volume does.
func (n *nodes) made(t *testing.T, s *site) {
	t.Helper()
	said, _ := s.refused(t, created("another", "db"))
	has(t, said, frozen...)
}

// testFormattedAnew makes the file system anew, with the same label and another UUID, and has the nodes find it by its label.
func (n *nodes) testFormattedAnew(t *testing.T) {
	heal(t, n.sites...)
	one := n.sites[0]
	n.remember(t, "kept")
	n.offline(t)
	assert.NilError(t, one.node.FormatPool(t.Context(), "media-apps"))
	one.uuids["media-apps"] = one.ok(t, "blkid -p -o value -s UUID "+one.node.Device("media-apps"))
	said, _ := one.refused(t, "docker homelab undrain media-apps")
	has(t, said, "no disk UUID=", "the UUID or label")
	each(t, n.sites, func(s *site) error {
		_, err := s.node.Output(t.Context(), "docker plugin disable --force homelab-storage && docker plugin set homelab-storage POOL_DEVICE=LABEL=media-apps && docker plugin enable homelab-storage")
		return err
	})
	n.online(t)
	n.made(t, one)
	n.detected(t, "catalog.json is missing", "kept")
	for _, s := range n.sites {
		has(t, s.ok(t, "docker homelab catalog adopt"), "Only this node knew: kept.", "Their data was not touched.")
	}
	n.usable(t)
	one.ok(t, "! docker volume ls --quiet | grep --line-regexp kept")
	n.remember(t, "kept")
	one.eventually(t, removed("kept"))
}

// testDisagreement has one node keep the records on another pool than the others do.
func (n *nodes) testDisagreement(t *testing.T) {
	heal(t, n.sites...)
	one, odd := n.sites[0], n.sites[2]
	n.remember(t, "kept")
	pool := func(catalog string) string {
		nas := one.lab.NAS()
		return fmt.Sprintf("pools:\n  - name: app-data\n    device: LABEL=app-data\n    path: %s\n    iscsi: {portal: '%s', target: '%s'}\n%s",
			appDataPath, nas.Portal(), nas.Target("app-data"), catalog)
	}
	put := func(s *site, content string) {
		assert.NilError(t, s.node.Put(t.Context(), strings.NewReader(content), "/etc/homelab-storage/config.yaml", 0o644))
		s.eventually(t, "docker homelab status | grep --quiet app-data && mountpoint --quiet "+appDataPath)
	}
	for _, s := range n.sites[:2] {
		put(s, pool(""))
	}
	put(odd, pool("    catalog: true\n"))
	said, _ := odd.refused(t, created("another", "db"))
	has(t, said, append(frozen, "is another one")...)
	has(t, odd.eventually(t, "docker homelab status | grep 'is not used'"), frozen...)
	odd.ok(t, "docker volume ls --quiet | grep --line-regexp kept")
	assert.Equal(t, odd.ok(t, run("kept")+" cat /config/file"), "kept")
	one.eventually(t, created("beside", "db"))
	put(odd, pool(""))
	measure(t, "the right pool is taken again", func() { n.usable(t, "kept", "beside") })
	one.eventually(t, removed("kept"))
	one.eventually(t, removed("beside"))
}
