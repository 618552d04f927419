//go:build lab

package cluster

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
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
	options.Nodes, options.LUNs = 1, []lab.LUN{lab.MediaApps, lab.AppData}
	return newSites(t, options, threshold)[0]
}

// newSites starts a lab, makes its file systems and installs the plugin on every machine. The threshold is o2cb's.
func newSites(t *testing.T, options lab.Options, threshold int) []*site {
	t.Helper()
	options.Password = password
	var plugin string
	step(t, "build the plugin", func() {
		var err error
		plugin, err = build()
		assert.NilError(t, err)
	})
	sites := make([]*site, options.Nodes)
	uuids := map[string]string{}
	for at := range sites {
		sites[at] = &site{uuids: uuids, threshold: threshold}
	}
	leavesNothing(t, sites[0])
	step(t, "start the lab", func() {
		started := lab.ForTest(t, options)
		for at := range sites {
			sites[at].lab, sites[at].node = started, started.Node(at+1)
		}
	})
	step(t, "format the pools", func() {
		for _, lun := range options.LUNs {
			sites[0].format(t, lun.Name)
		}
	})
	heal(t, sites...)
	step(t, "install the plugin", func() {
		each(t, sites, func(s *site) error { return s.install(t.Context(), plugin) })
	})
	return sites
}

// each does something on every machine at once.
func each(t *testing.T, sites []*site, do func(s *site) error) {
	t.Helper()
	var group errgroup.Group
	for _, s := range sites {
		group.Go(func() error { return do(s) })
	}
	assert.NilError(t, group.Wait())
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
func (s *site) install(ctx context.Context, plugin string) error {
	return s.node.InstallPlugin(ctx, plugin, s.lab.NAS().PluginPool("media-apps", "UUID="+s.uuids["media-apps"], poolPath)...)
}

// healed undoes what a test before may have left: the lab's faults, a cluster that is not up after a boot, a stopped engine.
func (s *site) healed(t *testing.T) {
	t.Helper()
	heal(t, s)
}

// heal does that for several machines of one lab.
func heal(t *testing.T, sites ...*site) {
	t.Helper()
	ctx := t.Context()
	assert.NilError(t, sites[0].lab.Heal(ctx))
	assert.NilError(t, sites[0].lab.NAS().SpeakAll(ctx))
	assert.NilError(t, sites[0].lab.NAS().SetPassword(ctx, password))
	each(t, sites, func(s *site) error { return s.start(t) })
}

// start brings up what a machine of the lab does not bring up by itself.
func (s *site) start(t *testing.T) error {
	ctx := t.Context()
	if result, err := s.node.Exec(ctx, "mountpoint --quiet /dlm"); err != nil || result.Code != 0 {
		began := time.Now()
		if err := s.node.StartO2CB(ctx, s.threshold); err != nil {
			return err
		}
		t.Logf("%-44s %6.1f s", s.node.Name()+": start the cluster", time.Since(began).Seconds())
	}
	began := time.Now()
	if err := s.node.StartDocker(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	if took := time.Since(began); took > time.Second {
		t.Logf("%-44s %6.1f s", s.node.Name()+": start the engine", took.Seconds())
	}
	return nil
}

// uninstall takes everything of the product away and proves that the machine has nothing of it left.
func (s *site) uninstall(t *testing.T) {
	t.Helper()
	s.healed(t)
	s.ok(t, `docker swarm leave --force 2>/dev/null
containers=$(docker ps --all --quiet) && { [ -z "$containers" ] || docker rm --force $containers; }`)
	s.eventually(t, `volumes=$(docker volume ls --quiet) && { [ -z "$volumes" ] || docker volume rm $volumes; }`)
	s.eventually(t, "mountpoint --quiet "+poolPath) // it stays so, without the plugin
	s.ok(t, "docker plugin disable homelab-storage && docker plugin rm homelab-storage")
	s.nothingLeft(t)
	assert.Equal(t, s.ok(t, recorded(s.node.Name())), "", "holds that the pool has of this node")
	s.ok(t, "umount "+poolPath)
}

// nothingLeft proves that no mount and no process of the plugin is left on the machine.
func (s *site) nothingLeft(t *testing.T) {
	t.Helper()
	assert.Equal(t, s.ok(t, `cat /proc/[0-9]*/mountinfo 2>/dev/null | grep -E ' /[^ ]*(/propagated-mount|/mnt/volumes|homelab-storage)' || true`), "", "mounts")
	assert.Equal(t, s.ok(t, "pidof homelab-storage || true"), "", "processes")
}
