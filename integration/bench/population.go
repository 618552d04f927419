package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/internal/durable"
)

const (
	fewVolumes  = 10
	manyVolumes = 10_000
)

// classes of the volumes that are mounted: one that is exclusive, one that is shared.
const (
	db     = "db"
	config = "config"
)

// populated is a plugin with volumes, made when it is first needed. What failed once fails again, without another try.
type populated struct {
	daemon *daemon
	err    error
}

// running is the plugin, started when a section has stopped it.
func (p *populated) running(ctx context.Context, create func(context.Context) (*daemon, error)) (*daemon, error) {
	if p.daemon == nil && p.err == nil {
		p.daemon, p.err = create(ctx)
	}
	if p.err != nil {
		return nil, p.err
	}
	if p.daemon.pid != 0 {
		return p.daemon, nil
	}
	return p.daemon, p.daemon.serve(ctx)
}

// fewDaemon is a running plugin with 10 db volumes.
func (b *bench) fewDaemon(ctx context.Context) (*daemon, error) { return b.few.running(ctx, b.makeFew) }

func (b *bench) makeFew(ctx context.Context) (*daemon, error) {
	if err := b.endEngine(ctx); err != nil {
		return nil, err
	}
	d := b.newDaemon("few")
	if err := d.serve(ctx); err != nil {
		return nil, err
	}
	for i := range fewVolumes {
		if err := d.create(ctx, volumeName(db, i), db); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// manyDaemon is a running plugin with 10,000 volumes, half db and half config. One of each class is created through the
// socket; the others are written as Create would have, with the driver's own packages, but for the fsyncs.
func (b *bench) manyDaemon(ctx context.Context) (*daemon, error) {
	return b.many.running(ctx, b.makeMany)
}

func (b *bench) makeMany(ctx context.Context) (*daemon, error) {
	if err := b.endEngine(ctx); err != nil {
		return nil, err
	}
	progress(fmt.Sprintf("making %d volumes", manyVolumes))
	d := b.newDaemon("many")
	if err := d.serve(ctx); err != nil {
		return nil, err
	}
	for _, class := range []string{db, config} {
		if err := d.create(ctx, volumeName(class, 0), class); err != nil {
			return nil, err
		}
	}
	if err := d.stop(); err != nil {
		return nil, err
	}
	if err := d.multiply(ctx, manyVolumes/2); err != nil {
		return nil, fmt.Errorf("making %d volumes: %w", manyVolumes, err)
	}
	if err := d.serve(ctx); err != nil {
		return nil, err
	}
	return d, d.check(ctx, manyVolumes)
}

func volumeName(class string, number int) string { return fmt.Sprintf("%s-%05d", class, number) }

func (d *daemon) create(ctx context.Context, name, class string) error {
	_, _, err := d.client.call(ctx, "VolumeDriver.Create", request{Name: name, Opts: map[string]string{"class": class}})
	return err
}

// check counts the volumes that the plugin knows.
func (d *daemon) check(ctx context.Context, want int) error {
	told, _, err := d.client.call(ctx, "VolumeDriver.List", request{})
	if err == nil && len(told.Volumes) != want {
		err = fmt.Errorf("the plugin lists %d volumes, not %d", len(told.Volumes), want)
	}
	return err
}

// direct does a catalog's file work at once: the folders are on a local disk.
type direct struct{}

// Do runs work.
func (direct) Do(_ context.Context, _ string, work func() error) error { return work() }

// multiply fills the stopped plugin's catalog up to as many volumes of each class, from the pattern of the first one.
func (d *daemon) multiply(ctx context.Context, each int) (err error) {
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	volatile := []durable.Option{durable.Volatile()}
	shelf, err := catalog.Open(ctx, catalog.Options{
		Name: "node", Mirror: filepath.Join(d.state(), "mirror", "node"), Doer: direct{}, Log: logrus.NewEntry(quiet),
		Shared: volatile, Node: volatile,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shelf.Close()) }()
	if err := shelf.Attach(ctx, filepath.Join(d.state(), "local", "catalog")); err != nil {
		return err
	}
	for _, class := range []string{db, config} {
		pattern, ok := shelf.Get(volumeName(class, 0))
		if !ok {
			return fmt.Errorf("volume %s, which was created, is not in the catalog", volumeName(class, 0))
		}
		for number := 1; number < each; number++ {
			if err := d.copyOf(ctx, shelf, pattern, volumeName(class, number)); err != nil {
				return err
			}
		}
	}
	return nil
}

// copyOf makes another volume like the pattern: its directory, its mark, its record.
func (d *daemon) copyOf(ctx context.Context, shelf *catalog.Catalog, pattern catalog.Record, name string) error {
	record := pattern
	record.ID, record.Name, record.Generation = catalog.NewID(), name, 0
	record.Location.Subdir = path.Join(path.Dir(pattern.Location.Subdir), name)
	directory := filepath.Join(d.pool(), record.Location.Subdir)
	if err := os.Mkdir(directory, record.Location.Mode.Perm()); err != nil {
		return err
	}
	if err := os.Chown(directory, int(record.Location.UID), int(record.Location.GID)); err != nil {
		return err
	}
	private := filepath.Join(d.pool(), backend.PrivateFolder)
	if err := backend.WriteMark(private, backend.Mark{Volume: record.ID, Subdir: record.Location.Subdir}, durable.Volatile()); err != nil {
		return err
	}
	_, err := shelf.Put(ctx, record)
	return err
}
