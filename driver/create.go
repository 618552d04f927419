package driver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/driver/option"
	"github.com/homelab-storage/homelab-storage/driver/plan"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// draft is a volume that shall be created, checked as far as that goes without touching storage.
type draft struct {
	record catalog.Record
	shelf  *catalog.Catalog
	plan   backend.Plan
	// again says that an interrupted Create of this very volume went before: what it made is ours.
	again bool
}

func (d draft) secret() credential.Credentials {
	return credential.Credentials{Username: d.plan.Username, Domain: d.plan.Domain, Password: d.plan.Password}
}

// Create makes a volume: the intent is recorded, the directory is made or adopted and owned, once, and the record is ready.
// Every problem of the options is reported together. Creating a volume again with the same options is success.
func (d *Driver) Create(ctx context.Context, name string, options map[string]string) (err error) {
	if wanted, asked := options["help"]; asked && wanted != "0" && wanted != "false" {
		return errors.New(option.Help())
	}
	if err := checkName(name); err != nil {
		return err
	}
	ctx, cancel := working(ctx)
	defer cancel()
	unlock, err := d.locks.Lock(ctx, name)
	if err != nil {
		return fmt.Errorf("volume %q: another call for it is still going on: %w", name, err)
	}
	defer unlock()
	defer d.explain(name, &err)
	set, err := option.Parse(options)
	if err != nil {
		return err
	}
	if err := d.withdrawLeft(ctx, name); err != nil {
		return err
	}
	return d.racing(ctx, func() error {
		old, done, err := d.settle(ctx, name, options)
		if done || err != nil {
			return err
		}
		draft, err := d.draft(ctx, name, options, set, old)
		if err != nil {
			return err
		}
		return d.build(ctx, draft)
	})
}

// settle looks at what already has the name. A ready volume with these options is done; a half removed one is removed; a
// half made one is returned, to be made again under its ID.
func (d *Driver) settle(ctx context.Context, name string, options map[string]string) (old *catalog.Record, done bool, err error) {
	record, shelf, ok := d.records.get(name)
	if !ok {
		return nil, false, nil
	}
	switch record.State {
	case catalog.Ready:
		if same, err := d.current(ctx, record, shelf); err == nil && !same { // another node has just removed it, or is about to
			return d.settle(ctx, name, options)
		}
		if maps.Equal(record.Options, option.Public(options)) {
			return nil, true, nil
		}
		return nil, false, fmt.Errorf("it exists with other options (docker volume inspect %s); a volume's options do not change: "+
			"remove it and create it again - the data of a pool goes to the trash (from=trash/<entry> takes it up again), that of a share stays", name)
	case catalog.Removing:
		return nil, false, d.completeRemove(ctx, record, shelf)
	case catalog.Creating:
		if shelf == d.records.node || record.CreatedBy == d.options.Settings.Current().Node {
			return &record, false, nil
		}
		abandoned, err := d.othersDone(ctx, record, shelf)
		if err != nil || abandoned {
			return &record, false, err
		}
		return d.settle(ctx, name, options)
	}
	return nil, false, fmt.Errorf("its record has the unknown state %q; upgrade the plugin on this node", record.State)
}

func (d *Driver) draft(ctx context.Context, name string, options map[string]string, set option.Set, old *catalog.Record) (draft, error) {
	now := d.options.Settings.Current()
	chosen, err := plan.Choose(name, set, now)
	if err != nil {
		return draft{}, err
	}
	storage, ok := d.backends[chosen.Class.Kind]
	if !ok {
		return draft{}, fmt.Errorf("storage %s is not built into this plugin", chosen.Class.Kind)
	}
	planned, err := storage.Plan(ctx, chosen.Request)
	if err != nil {
		return draft{}, err
	}
	if err := d.allowed(ctx, planned.Location); err != nil {
		return draft{}, err
	}
	if entry, ok := strings.CutPrefix(set.From, "trash/"); ok && (old == nil || old.Options["from"] != set.From) {
		if err := d.trashed(ctx, planned.Location.Pool, entry); err != nil {
			return draft{}, err
		}
	}
	made := draft{
		plan: planned, shelf: d.records.shelf(planned.Location.Standalone, now),
		record: catalog.Record{
			Version: catalog.Version, ID: catalog.NewID(), Name: name, State: catalog.Creating, Class: chosen.Class.Name,
			Location: planned.Location, Options: option.Public(options), Access: string(chosen.Access),
			Warnings: planned.Warnings, SQLite: set.SQLite != nil && *set.SQLite, Guard: set.Guard, CreatedAt: d.now().UTC(), CreatedBy: now.Node,
		},
	}
	if old != nil {
		made.record.ID, made.record.Generation, made.again = old.ID, old.Generation, true
	}
	if planned.Username != "" {
		made.record.Location.Credentials = credential.ForVolume(made.record.ID)
	}
	return made, nil
}

// build does the durable steps. A failure takes them back; a crash leaves a record in state creating, which the next start,
// or the next Create, completes.
func (d *Driver) build(ctx context.Context, made draft) (err error) {
	pool, err := d.attachFor(ctx, made.shelf)
	if err != nil {
		return err
	}
	var steps undo
	defer steps.fail(ctx, &err)
	if err := d.announce(ctx, &made, &steps); err != nil {
		return err
	}
	if made.plan.Username != "" {
		name := made.record.Location.Credentials
		steps.add(func(ctx context.Context) error { return d.dropSecret(ctx, pool, name) }) // what fails may have stored it
		if err := d.keepSecret(ctx, pool, name, made.secret()); err != nil {
			return fmt.Errorf("storing the user name and password: %w", err)
		}
	}
	storage := d.backends[made.record.Location.Kind]
	location, err := storage.Create(ctx, volumeOf(made.record), made.again)
	if err == nil { // else it is empty, and the steps back need the one that was planned
		made.record.Location = location
	}
	if err == nil || touched(err) {
		steps.add(func(ctx context.Context) error { return d.takeBack(ctx, storage, made.record) })
	}
	if err == nil {
		err = d.admitNew(ctx, storage, made.record)
	}
	if err != nil {
		return err
	}
	if err := d.fill(ctx, made.record); err != nil {
		if d.arrived(ctx, made.record, err) { // there is no way back: its entry in the trash is gone
			steps = undo{}
			d.unfinished.add(made.record.Name)
			return fmt.Errorf("its data is out of the trash, and the rest is done by itself as soon as it can be: %w", err)
		}
		return err
	}
	steps = undo{} // from here on the way is forward: the directory is there and the intent says so
	return d.ready(ctx, made)
}

// takeBack removes what a failed Create made. When that fails too, the record stays as an intent and is completed later.
func (d *Driver) takeBack(ctx context.Context, storage backend.Backend, record catalog.Record) error {
	err := storage.Remove(ctx, volumeOf(record))
	if err != nil {
		d.unfinished.add(record.Name)
	}
	return err
}

// touched says whether a failed Create may have made something: not when the proof of its storage failed, but when a step hangs.
func touched(err error) bool {
	return !errors.Is(err, backend.ErrUnavailable) || errors.Is(err, mounter.ErrStuck) || errors.Is(err, mounter.ErrBusy)
}

// fill begins a volume with the data of a trash entry, when its options say so.
func (d *Driver) fill(ctx context.Context, record catalog.Record) error {
	entry, ok := strings.CutPrefix(record.Options["from"], "trash/")
	if !ok {
		return nil
	}
	return d.options.Pools.TrashRestore(ctx, entry, volumeOf(record))
}

// arrived says whether a failed fill had moved the data already.
func (d *Driver) arrived(ctx context.Context, record catalog.Record, failed error) bool {
	entry, ok := strings.CutPrefix(record.Options["from"], "trash/")
	return ok && !errors.Is(failed, backend.ErrRefused) && d.trashed(ctx, record.Location.Pool, entry) != nil
}

func (d *Driver) ready(ctx context.Context, made draft) error {
	made.record.State = catalog.Ready
	if _, err := made.shelf.Put(ctx, made.record); err != nil {
		d.unfinished.add(made.record.Name)
		return fmt.Errorf("its directory is made, but its record could not be written; that is done by itself as soon as it can be: %w", err)
	}
	for _, warning := range made.record.Warnings {
		d.log.WithFields(map[string]any{"volume": made.record.Name, "warning": warning}).Warn("a volume was created with a warning")
	}
	return nil
}
