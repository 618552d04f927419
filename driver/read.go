package driver

import (
	"context"
	"maps"
	"slices"

	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/complaint"
)

// Get tells of one volume, from memory: an error here makes the engine forget the volume (FACTS 1), so that only a volume
// that is not there is one.
func (d *Driver) Get(_ context.Context, name string) (Info, error) {
	record, shelf, ok := d.records.get(name)
	if !ok || !visible(record) {
		return Info{}, ErrNotFound
	}
	info := d.info(record)
	info.Status = d.status(record, shelf)
	return info, nil
}

// List tells of all volumes, from memory, without their status.
func (d *Driver) List(context.Context) ([]Info, error) {
	all := d.records.list()
	infos := make([]Info, 0, len(all))
	for _, record := range all {
		if visible(record) {
			infos = append(infos, d.info(record))
		}
	}
	return infos, nil
}

// Path is the target of a volume.
func (d *Driver) Path(_ context.Context, name string) (string, error) {
	record, _, ok := d.records.get(name)
	if !ok || !visible(record) {
		return "", ErrNotFound
	}
	return d.target(name), nil
}

func (d *Driver) info(record catalog.Record) Info {
	return Info{Name: record.Name, Mountpoint: d.target(record.Name), CreatedAt: record.CreatedAt}
}

// status gathers what `docker volume inspect` shows: what the record says, what the storage says, and what is wrong.
func (d *Driver) status(record catalog.Record, shelf *catalog.Catalog) map[string]any {
	status := map[string]any{
		"class": record.Class, "storage": record.Location.Kind, "access": record.Access, "state": string(record.State),
		"id": record.ID, "created_by": record.CreatedBy,
	}
	if storage, ok := d.backends[record.Location.Kind]; ok {
		maps.Copy(status, storage.Status(volumeOf(record)))
	}
	if volume, ok := d.uses.Of(record.Name); ok {
		status["uses_on_this_node"] = len(volume.Uses)
	}
	if state := shelf.State(); state.Frozen != "" {
		status["catalog"] = state.Frozen
	}
	if warnings := d.warnings(record); len(warnings) > 0 {
		status["warnings"] = warnings
	}
	for _, sentences := range []*complaint.Book{&d.lost, &d.guard.Problems} {
		if text := sentences.Of(record.Name); text != "" {
			status["problem"] = text
		}
	}
	if failed, ok := d.failures.of(record.Name); ok {
		status["last_error"] = failed
	}
	return status
}

// warnings are those of its Create, and of what was found in it since.
func (d *Driver) warnings(record catalog.Record) []string {
	warnings := slices.Clone(record.Warnings)
	if text := d.guard.Warnings.Of(record.Name); text != "" {
		warnings = append(warnings, text)
	}
	return warnings
}
