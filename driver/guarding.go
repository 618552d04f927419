package driver

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/guard"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// Times of the guard.
const (
	// guardEvery is how often it is asked what containers have open: an open database is named within 20 s.
	guardEvery = 10 * time.Second
	// openEvery is how often the first bytes of what is open are read.
	openEvery = 20 * time.Second
	// openLimit bounds the question what is open, which asks no file system.
	openLimit = 5 * time.Second
	// mountGuardLimit is what a Mount waits for the guard. A share that takes longer is mounted all the same; the background looks.
	mountGuardLimit = 2 * time.Second
)

// guard looks for databases on the shares' volumes that are in use (DESIGN D5, FACTS 4).
func (d *Driver) guard(ctx context.Context) {
	var all, used []string
	for _, record := range d.records.list() {
		if record.Location.Kind != backend.CIFS || record.Location.ReadOnly {
			continue
		}
		all = append(all, record.Name)
		if d.inUse(record.Name) {
			used = append(used, record.Name)
		}
	}
	d.guards.only(all)
	d.found.Only(all)
	d.opened.Only(used)
	if len(used) == 0 {
		return
	}
	d.askOpen(ctx, used)
	d.looks.begin(ctx, d.lookInto, d.byStorage(d.guards.due(used, d.now())))
}

// askOpen notes what containers write to.
func (d *Driver) askOpen(ctx context.Context, names []string) {
	limited, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	var targets []string
	for _, name := range names {
		targets = append(targets, d.target(name))
	}
	files, err := d.options.Mounter.OpenFiles(limited, targets)
	if err != nil {
		d.log.WithError(err).Debug("what containers have open on shares could not be found out")
		return
	}
	for _, name := range names {
		d.guards.writing(name, files[d.target(name)])
		d.tellOpen(name)
	}
}

// lookInto reads what is open in a volume, and looks through all of it when that is due. It holds nothing while it waits, and a
// share that does not answer costs one thread.
func (d *Driver) lookInto(ctx context.Context, name string) error {
	limited, cancel := context.WithTimeout(ctx, turnLimit)
	defer cancel()
	record, _, ok := d.records.get(name)
	if !ok {
		return nil
	}
	directory, err := d.beside(limited, name)
	if err != nil || directory == "" {
		return err // it was unmounted meanwhile
	}
	known, now := d.guards.of(name), d.now()
	var open, found guard.Finding
	through := known.through(now)
	err = d.look(limited, record, func() (err error) {
		if open, err = guard.Among(limited, directory, paths(known.writes)); err != nil || !through {
			return err
		}
		seen, err := guard.Scan(limited, directory, guard.Thorough())
		found = seen.Found
		return err
	})
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	d.guards.change(name, func(one *guarded) {
		one.checked = now
		one.open, one.by = open, opener(known.writes, open)
		if !through {
			return
		}
		one.looks++
		one.next = now.Add(pause(one.looks))
		if err == nil || found.Path != "" { // a look that was cut short says nothing of what it did not reach
			one.found = found
		}
	})
	d.tellFound(name)
	d.tellOpen(name)
	return nil
}

// beside is the directory of a mounted volume as the share's own mount has it, so that the volume can be unmounted during a look.
func (d *Driver) beside(ctx context.Context, name string) (string, error) {
	table, err := d.options.Mounter.Table(ctx, mounter.Plugin)
	if err != nil {
		return "", fmt.Errorf("reading the mount table: %w", err)
	}
	volume := slices.IndexFunc(table, func(line mounter.Mount) bool { return line.Target == d.target(name) })
	if volume < 0 {
		return "", nil
	}
	share := slices.IndexFunc(table, func(line mounter.Mount) bool {
		return line.Device == table[volume].Device && line.Root == "/" && path.Dir(line.Target) != d.options.MountRoot
	})
	if share < 0 {
		return d.target(name), nil
	}
	return path.Join(table[share].Target, table[volume].Root), nil
}

// look does file work in a volume of a share. One whose server does not answer is an error that matches backend.ErrUnavailable.
func (d *Driver) look(ctx context.Context, record catalog.Record, work func() error) error {
	err := d.options.Mounter.Do(ctx, "guard "+record.ID, work)
	if errors.Is(err, mounter.ErrStuck) || errors.Is(err, mounter.ErrBusy) {
		return fmt.Errorf("%w: %w", backend.ErrUnavailable, err)
	}
	return err
}

func paths(files []mounter.OpenFile) []string {
	var names []string
	for _, file := range files {
		names = append(names, file.Path)
	}
	return names
}

// opener is who has a database open.
func opener(files []mounter.OpenFile, open guard.Finding) mounter.OpenFile {
	if i := slices.IndexFunc(files, func(file mounter.OpenFile) bool { return file.Path == open.Path }); i >= 0 && open.Path != "" {
		return files[i]
	}
	return mounter.OpenFile{}
}

// refuses says whether a database must not be in a volume: it asks for that, or nobody would see another one's locks in it.
func refuses(record catalog.Record) bool {
	return record.Guard == "refuse" || slices.Contains(record.Location.MountOptions, "nobrl")
}

// admit refuses to mount a share's volume in which a database is open now, and one with a database that refuses them. What is not
// known in time is not refused: a share that is slow is no reason to keep containers down. Nor is an id that has the volume already,
// whose container is copied from or to.
func (d *Driver) admit(ctx context.Context, record catalog.Record, staged backend.Staged, id string) error {
	if record.Location.Kind != backend.CIFS || record.Location.ReadOnly || d.has(record.Name, id) {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, mountGuardLimit)
	defer cancel()
	if known := d.guards.of(record.Name); known.open.Path != "" {
		files, err := d.options.Mounter.OpenFiles(limited, []string{d.target(record.Name)})
		if err == nil {
			d.guards.writing(record.Name, files[d.target(record.Name)])
			d.tellOpen(record.Name)
		}
		if known = d.guards.of(record.Name); known.open.Path != "" {
			return errors.New(openText(record.Name, known))
		}
	}
	if !refuses(record) {
		return nil
	}
	return d.admitClean(limited, record, path.Join(staged.Base.Path, staged.Subdir))
}

// admitNew refuses to make a volume that refuses databases of a directory that has one.
func (d *Driver) admitNew(ctx context.Context, storage backend.Backend, record catalog.Record) error {
	if record.Location.Kind != backend.CIFS || !refuses(record) {
		return nil
	}
	staged, err := storage.Stage(ctx, volumeOf(record))
	if err != nil {
		return err
	}
	return d.admit(ctx, record, staged, "")
}

// has says whether an id is one of a volume's uses.
func (d *Driver) has(name, id string) bool {
	volume, _ := d.uses.Of(name)
	return slices.ContainsFunc(volume.Uses, func(use Use) bool { return use.ID == id })
}

// admitClean looks through a volume that refuses databases.
func (d *Driver) admitClean(ctx context.Context, record catalog.Record, directory string) error {
	var seen guard.Result
	known := d.guards.of(record.Name).found
	err := d.look(ctx, record, func() error {
		if still, err := guard.Among(ctx, directory, []string{known.Path}); known.Path != "" && err == nil && still.Path != "" {
			seen.Found = still
			return nil
		}
		found, err := guard.Scan(ctx, directory, guard.Thorough())
		seen = found
		return err
	})
	switch {
	case err != nil:
		d.log.WithError(err).WithField("volume", record.Name).Debug("a volume that refuses databases could not be looked through in time")
		return nil
	case !seen.Database():
		return nil
	}
	d.guards.change(record.Name, func(one *guarded) { one.found = seen.Found })
	return errors.New(refusedText(record, seen.Found))
}
