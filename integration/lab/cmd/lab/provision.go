package main

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/homelab-storage/homelab-storage/integration/lab"
)

const (
	// threshold is the heartbeat's dead threshold: (7 - 1) * 2 s, so that a killed node is given up after 12 s.
	threshold = 7
	poolPath  = "/mnt/iscsi/media-apps"
)

// provision makes the lab what a homelab with the plugin is: a formatted LUN, the cluster, Docker, and the plugin installed on
// every node, which mounts the pool by itself.
func provision(ctx context.Context, l *lab.Lab, log *logrus.Entry) error {
	if err := format(ctx, l); err != nil {
		return fmt.Errorf("format the pool: %w", err)
	}
	log.Info("the pool is formatted")
	group, ctx := errgroup.WithContext(ctx)
	for _, node := range l.Nodes() {
		group.Go(func() error {
			if err := install(ctx, l, node); err != nil {
				return fmt.Errorf("%s: %w", node.Name(), err)
			}
			log.WithField("node", node.Name()).Info("Docker and the plugin are ready")
			return nil
		})
	}
	return group.Wait()
}

// format makes the file system of the LUN and forgets the LUN again: finding it is the plugin's work.
func format(ctx context.Context, l *lab.Lab) error {
	node, lun := l.Node(1), lab.MediaApps.Name
	if _, err := node.LoginISCSI(ctx, lun); err != nil {
		return err
	}
	if err := node.FormatPool(ctx, lun); err != nil {
		return err
	}
	return node.LogoutISCSI(ctx, lun)
}

// install does on a node what the README says to someone with a pool.
func install(ctx context.Context, l *lab.Lab, node *lab.Node) error {
	module, err := lab.Module()
	if err != nil {
		return err
	}
	if err := node.StartO2CB(ctx, threshold); err != nil {
		return err
	}
	if err := node.StartDocker(ctx); err != nil {
		return err
	}
	pool := l.NAS().PluginPool(lab.MediaApps.Name, "LABEL="+lab.MediaApps.Name, poolPath)
	return node.InstallPlugin(ctx, filepath.Join(module, "bin", "plugin-"+runtime.GOARCH), pool...)
}
