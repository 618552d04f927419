package main

import (
	"context"
	"errors"
	"os"
	"path"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/local"
	"github.com/homelab-storage/homelab-storage/driver/backend/ocfs2"
	"github.com/homelab-storage/homelab-storage/driver/backend/smb"
	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/plugin/cli"
	"github.com/homelab-storage/homelab-storage/plugin/config"
	"github.com/homelab-storage/homelab-storage/plugin/engine"
	"github.com/homelab-storage/homelab-storage/plugin/metrics"
)

// parts is a working plugin.
type parts struct {
	mounter  *mounter.Linux
	watcher  *config.Watcher
	engine   *engine.Engine
	driver   *driver.Driver
	metrics  *metrics.Metrics
	journals *ocfs2.Journals
}

// assemble wires the parts; this is the one place that knows them all.
func assemble(ctx context.Context, host *mounter.Linux, options cli.ServeOptions, unseen func() error, log *logrus.Entry) (*parts, error) {
	made := &parts{mounter: host}
	var err error
	made.watcher, err = config.Open(ctx, config.Options{
		Environment: os.Getenv, HostPath: made.mounter.HostPath, Do: made.mounter.Do,
		StateDir: options.StateDir, File: options.Config, Log: log,
	})
	if err != nil {
		return nil, err
	}
	if made.engine, err = engine.New(made.mounter.HostPath, engine.Socket(os.Getenv)); err != nil {
		return nil, errors.Join(err, made.watcher.Close())
	}
	if made.driver, err = newDriver(ctx, made, options, unseen, log); err != nil {
		return nil, errors.Join(err, made.engine.Close(), made.watcher.Close())
	}
	made.journals = ocfs2.NewJournals(made.mounter, made.watcher, log)
	made.metrics = metrics.New(version, func() driver.Health { return made.driver.Health(ctx) })
	return made, nil
}

func newDriver(ctx context.Context, made *parts, options cli.ServeOptions, unseen func() error, log *logrus.Entry) (*driver.Driver, error) {
	secrets := credential.NewStore(made.mounter, path.Join(options.StateDir, "credentials"))
	pools := ocfs2.New(ocfs2.Options{Mounter: made.mounter, Settings: made.watcher, StateDir: options.StateDir, RunDir: options.RunDir, Log: log})
	shares := smb.New(smb.Options{
		Mounter: made.mounter, Settings: made.watcher, Credentials: secrets,
		// In the plugin's own namespace, and not below the mount root, whose mounts the engine sees.
		ShareRoot: path.Join(options.RunDir, "shares"), Memory: made.mounter.HostPath(path.Join(options.StateDir, "shares")), Log: log,
	})
	return driver.New(ctx, driver.Options{
		Mounter: made.mounter, Settings: made.watcher, Trouble: made.watcher.Errors,
		Backends: []backend.Backend{pools, shares, local.New(made.mounter, options.StateDir)},
		Pools:    pools, Secrets: secrets, Engines: made.engine,
		StateDir: made.mounter.HostPath(options.StateDir), RunDir: made.mounter.HostPath(options.RunDir),
		MountRoot: options.MountRoot, Version: version, Log: log, Unseen: unseen,
	})
}

func (p *parts) close() error {
	return errors.Join(p.driver.Close(), p.engine.Close(), p.watcher.Close())
}
