package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/writer"

	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
	"github.com/homelab-storage/homelab-storage/plugin/cli"
	"github.com/homelab-storage/homelab-storage/plugin/config"
	"github.com/homelab-storage/homelab-storage/plugin/protocol"
	"github.com/homelab-storage/homelab-storage/plugin/unfinished"
)

// drainLimit bounds the end of running calls after SIGTERM; the engine sends SIGKILL after ten seconds (FACTS 1).
const drainLimit = 8 * time.Second

// serve runs the plugin until the context ends. A second one for the same folders ends at once (see claim). It listens first, because the engine disables a plugin that does not answer
// soon after a start, and it stays when something is missing: a plugin that ends is disabled and its mounts are taken from
// running containers (FACTS 1). What is missing is then the answer to every call.
func serve(ctx context.Context, options cli.ServeOptions) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	collectLittle()
	process := config.ReadProcess(os.Getenv)
	log := newLog(process, os.Stdout, os.Stderr)
	log.WithFields(logrus.Fields{"version": version, "socket": options.Socket}).Info("starting")
	host, unable := mounter.New(mounter.Options{TargetRoot: options.MountRoot, Log: log})
	if unable == nil {
		release, err := claim(ctx, host.HostPath(options.StateDir), options.Socket, claimWait, log)
		if err != nil {
			return err
		}
		defer release()
	}
	listening, err := protocol.Listen(ctx, options.Socket)
	if err != nil {
		return err
	}
	if unable == nil {
		if err := unfinished.Forget(host.HostPath(options.StateDir)); err != nil {
			log.WithError(err).Warn("the record of an upgrade is not removed")
		}
	}
	var ready atomic.Pointer[parts]
	server := protocol.New(protocol.Options{
		LeaseWait: func() time.Duration { return leaseWait(ready.Load()) },
		Log:       log,
		Observe: func(call string, took time.Duration, err error) {
			if made := ready.Load(); made != nil {
				made.metrics.Observe(call, took, err)
			}
		},
	})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listening) }()

	var made *parts
	if unable == nil {
		made, unable = assemble(ctx, host, options, newRenewal(stop, host.HostPath(options.RunDir), log).ask, log)
	}
	if unable != nil {
		log.WithError(unable).Error("not able to work; every call will say so")
		server.Break(unable)
	} else {
		ready.Store(made)
		server.Provide(made.driver)
	}
	return errors.Join(run(ctx, made, process, log, served), end(context.WithoutCancel(ctx), server, listening, made, log))
}

// run does the background work until the context ends or the socket fails.
func run(ctx context.Context, made *parts, process config.Process, log *logrus.Entry, served <-chan error) error {
	ctx, cancel := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()
	background.Go(func() { collectAll(ctx) })
	if made != nil {
		background.Go(func() { made.watcher.Run(ctx) })
		background.Go(func() { made.journals.Run(ctx) })
		background.Go(func() {
			if err := made.driver.Run(ctx); err != nil {
				log.WithError(err).Error("background work ended")
			}
		})
		background.Go(func() { extras(ctx, made, process, log) })
	}
	select {
	case <-ctx.Done():
		if made != nil {
			made.driver.End()
		}
		return nil
	case err := <-served:
		return err
	}
}

// extras are what a setting asks for and nothing depends on.
func extras(ctx context.Context, made *parts, process config.Process, log *logrus.Entry) {
	if process.InstallCLI {
		installCommand(made, log)
	}
	if process.MetricsAddr == "" {
		return
	}
	log.WithField("address", process.MetricsAddr).Info("serving metrics")
	if err := made.metrics.Serve(ctx, process.MetricsAddr); err != nil {
		log.WithError(err).Error("no metrics")
	}
}

// installCommand puts this program into the host's folder of Docker CLI plugins.
func installCommand(made *parts, log *logrus.Entry) {
	changed, err := cli.Install("/proc/self/exe", made.mounter.HostPath(cli.CLIPluginFile))
	switch {
	case err != nil:
		log.WithError(err).Error("docker homelab command not installed")
	case changed:
		log.WithField("file", cli.CLIPluginFile).Info("docker homelab command installed")
	}
}

// end stops accepting calls, lets the running ones finish and unmounts nothing: containers go on (DESIGN D12).
func end(ctx context.Context, server *protocol.Server, listening net.Listener, made *parts, log *logrus.Entry) error {
	log.Info("ending; nothing is unmounted")
	err := listening.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	if late := server.Drain(ctx); late != nil {
		log.WithError(late).Warn("ended with calls unanswered")
	}
	if made != nil {
		err = errors.Join(err, made.close())
	}
	return err
}

func leaseWait(made *parts) time.Duration {
	if made == nil {
		return settings.Initial().LeaseWait
	}
	return made.watcher.Current().Defaults.LeaseWait
}

// newLog makes the log of the plugin. The engine takes a managed plugin's standard output for information and its standard error for
// errors.
func newLog(process config.Process, output, complaints io.Writer) *logrus.Entry {
	logger := logrus.New()
	logger.SetLevel(process.LogLevel)
	logger.SetOutput(io.Discard)
	const serious = 4 // of all levels: panic, fatal, error, warning
	logger.AddHook(&writer.Hook{Writer: complaints, LogLevels: logrus.AllLevels[:serious]})
	logger.AddHook(&writer.Hook{Writer: output, LogLevels: logrus.AllLevels[serious:]})
	if process.LogFormat == "json" {
		logger.SetFormatter(&logrus.JSONFormatter{TimestampFormat: time.RFC3339Nano})
	} else {
		logger.SetFormatter(&logrus.TextFormatter{FullTimestamp: true, DisableColors: true, TimestampFormat: "2006-01-02T15:04:05.000Z07:00"})
	}
	return logrus.NewEntry(logger)
}
