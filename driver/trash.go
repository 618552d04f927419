package driver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/internal/several"
)

// TrashList lists the data of removed volumes on a pool, or on all pools when it is "".
func (d *Driver) TrashList(ctx context.Context, pool string) ([]TrashEntry, error) {
	names, err := d.pools(pool)
	if err != nil {
		return nil, err
	}
	retention := d.options.Settings.Current().Defaults.TrashRetention
	var all []TrashEntry
	var problems *multierror.Error
	for _, name := range names {
		entries, err := d.options.Pools.TrashList(ctx, name)
		problems = several.Append(problems, err)
		for _, entry := range entries {
			entry.Expires = entry.Removed.Add(retention)
			all = append(all, entry)
		}
	}
	return all, problems.ErrorOrNil()
}

// TrashRestore makes a volume of an entry of the trash, as it was: under a new name, or under its old one when name is "".
func (d *Driver) TrashRestore(ctx context.Context, id, name string) error {
	entries, err := d.TrashList(ctx, "")
	if err != nil && len(entries) == 0 {
		return err
	}
	i := slices.IndexFunc(entries, func(entry TrashEntry) bool { return entry.ID == id })
	if half, ok := d.restoring(id); ok && (name == "" || name == half.Name) {
		return d.Create(ctx, half.Name, half.Options)
	}
	if i < 0 {
		return errors.Join(fmt.Errorf("there is no trash entry %q; `docker homelab trash ls` lists them", id), err)
	}
	entry := entries[i]
	options := asItWas(entry)
	if name == "" {
		name, options["subdir"] = entry.Volume, entry.Subdir
	}
	if record, _, taken := d.records.get(name); taken && visible(record) {
		return fmt.Errorf("there is a volume %q already; give the data another name: `docker homelab trash restore %s NAME`", name, id)
	}
	return d.Create(ctx, name, options)
}

// asItWas are the options of a volume that begins with an entry of the trash and is what the removed one was.
func asItWas(entry TrashEntry) map[string]string {
	options := map[string]string{"pool": entry.Pool, "from": "trash/" + entry.ID}
	was := entry.Location
	if was.Kind != "" {
		options["uid"], options["gid"], options["mode"] = fmt.Sprint(was.UID), fmt.Sprint(was.GID), fmt.Sprintf("0%o", uint32(was.Mode))
	}
	for name, text := range map[string]string{"class": entry.Class, "access": entry.Access} {
		if text != "" {
			options[name] = text
		}
	}
	for name, yes := range map[string]bool{"sqlite": entry.SQLite, "ro": was.ReadOnly} {
		if yes {
			options[name] = "true"
		}
	}
	return options
}

// restoring finds the volume that was to be made of an entry by a call that failed in the middle.
func (d *Driver) restoring(id string) (half catalog.Record, ok bool) {
	for _, record := range d.records.list() {
		if !visible(record) && record.Options["from"] == "trash/"+id {
			return record, true
		}
	}
	return catalog.Record{}, false
}

// trashed refuses an entry that is not in a pool's trash, before anything is made for it.
func (d *Driver) trashed(ctx context.Context, pool, id string) error {
	entries, err := d.options.Pools.TrashList(ctx, pool)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(entries, func(entry TrashEntry) bool { return entry.ID == id }) {
		return fmt.Errorf("there is no entry %q in the trash of pool %s; `docker homelab trash ls` lists them", id, pool)
	}
	return nil
}

// TrashEmpty deletes an entry, or all entries older than an age when id is "", and says how many.
func (d *Driver) TrashEmpty(ctx context.Context, pool, id string, olderThan time.Duration) (int, error) {
	if olderThan < 0 {
		return 0, fmt.Errorf("nothing was deleted: the age %s of what is to be deleted is negative; write it without the sign", olderThan)
	}
	names, err := d.pools(pool)
	if err != nil {
		return 0, err
	}
	total := 0
	var problems *multierror.Error
	for _, name := range names {
		count, err := d.options.Pools.TrashEmpty(ctx, name, id, d.now().Add(-olderThan))
		total += count
		problems = several.Append(problems, err)
	}
	if id != "" && total == 0 && problems.ErrorOrNil() == nil {
		return 0, fmt.Errorf("there is no trash entry %q; `docker homelab trash ls` lists them", id)
	}
	return total, problems.ErrorOrNil()
}
