//go:build lab

package cluster

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/integration/lab"
)

// build makes the plugin's root file system once for all sites, and returns its folder.
var build = sync.OnceValues(func() (string, error) {
	module, err := lab.Module()
	if err != nil {
		return "", err
	}
	command := exec.Command(filepath.Join(module, "scripts", "build-plugin"), runtime.GOARCH)
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	return filepath.Join(module, "bin", "plugin-"+runtime.GOARCH), command.Run()
})

// newSite starts a lab with one machine, makes its file systems and installs the plugin.
func newSite(t *testing.T, options lab.Options) *site {
	t.Helper()
	options.Password = password
	options.LUNs = []lab.LUN{lab.MediaApps, lab.AppData}
	var plugin string
	step(t, "build the plugin", func() {
		var err error
		plugin, err = build()
		assert.NilError(t, err)
	})
	s := &site{uuids: map[string]string{}}
	leavesNothing(t, s)
	step(t, "start the lab", func() { s.lab = lab.ForTest(t, options) })
	s.node = s.lab.Node(1)
	step(t, "format the pools", func() {
		for _, lun := range options.LUNs {
			s.format(t, lun.Name)
		}
	})
	s.healed(t)
	step(t, "install the plugin", func() { s.install(t, plugin) })
	return s
}

// format makes a LUN's file system and forgets the LUN again: finding it is the plugin's work.
func (s *site) format(t *testing.T, lun string) {
	t.Helper()
	device, err := s.node.LoginISCSI(t.Context(), lun)
	assert.NilError(t, err)
	assert.NilError(t, s.node.FormatPool(t.Context(), lun))
	s.uuids[lun] = s.ok(t, "blkid -p -o value -s UUID "+device)
	assert.NilError(t, s.node.LogoutISCSI(t.Context(), lun))
	s.ok(t, "iscsiadm --mode node --op delete && iscsiadm --mode discoverydb --type sendtargets --portal "+s.lab.NAS().Portal()+" --op delete")
}

// install does what the README says to someone with a pool.
func (s *site) install(t *testing.T, plugin string) {
	t.Helper()
	ctx := t.Context()
	assert.NilError(t, s.node.Copy(ctx, filepath.Join(plugin, "config.json"), "/root/plugin/config.json", 0o644))
	assert.NilError(t, s.node.Copy(ctx, filepath.Join(plugin, "rootfs", driver), "/root/plugin/rootfs/"+driver, 0o755))
	nas := s.lab.NAS()
	s.ok(t, strings.Join([]string{
		"docker plugin create homelab-storage /root/plugin",
		"docker plugin set homelab-storage POOL_NAME=media-apps POOL_DEVICE=UUID=" + s.uuids["media-apps"] + " POOL_PATH=" + poolPath +
			" ISCSI_PORTAL=" + nas.Portal() + " ISCSI_TARGET=" + nas.Target("media-apps") + " INSTALL_CLI=true",
		"docker plugin enable homelab-storage",
		"rm -r /root/plugin",
		"sync", // the engine does not flush a plugin's files, and a test that cuts the power is not about that
	}, " && "))
}

// healed undoes what a test before may have left: the lab's faults, a cluster that is not up after a boot, a stopped engine.
func (s *site) healed(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	assert.NilError(t, s.lab.Heal(ctx))
	assert.NilError(t, s.lab.NAS().SetPassword(ctx, password))
	if result, err := s.node.Exec(ctx, "mountpoint --quiet /dlm"); err != nil || result.Code != 0 {
		step(t, "start the cluster", func() { assert.NilError(t, s.node.StartO2CB(ctx, threshold)) })
	}
	if result, err := s.node.Exec(ctx, "docker info"); err != nil || result.Code != 0 {
		step(t, "start the engine", func() { assert.NilError(t, s.node.StartDocker(context.WithoutCancel(ctx))) })
	}
}

// uninstall takes everything of the product away and proves that the machine has nothing of it left.
func (s *site) uninstall(t *testing.T) {
	t.Helper()
	s.healed(t)
	s.ok(t, `docker swarm leave --force 2>/dev/null
containers=$(docker ps --all --quiet) && { [ -z "$containers" ] || docker rm --force $containers; }`)
	s.eventually(t, `volumes=$(docker volume ls --quiet) && { [ -z "$volumes" ] || docker volume rm $volumes; }`)
	s.ok(t, "docker plugin disable homelab-storage && docker plugin rm homelab-storage")
	assert.Equal(t, s.ok(t, `cat /proc/[0-9]*/mountinfo 2>/dev/null | grep -E ' /[^ ]*(/propagated-mount|/mnt/volumes|homelab-storage)' || true`), "", "mounts")
	assert.Equal(t, s.ok(t, "pidof homelab-storage || true"), "", "processes")
	s.ok(t, "! mountpoint --quiet "+poolPath+" || umount "+poolPath)
}
