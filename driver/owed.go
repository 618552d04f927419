package driver

import (
	"fmt"
	"slices"
	"sync"
)

// owed are uses that the engine has taken back and that are still counted, because that could not be written: the engine does not
// repeat an Unmount.
type owed struct {
	mu  sync.Mutex // guards ids
	ids map[string][]string
}

func (o *owed) add(name, id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ids == nil {
		o.ids = map[string][]string{}
	}
	o.ids[name] = append(o.ids[name], id)
}

// take gives the IDs of a volume out, once.
func (o *owed) take(name string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	ids := o.ids[name]
	delete(o.ids, name)
	return slices.Clone(ids)
}

// drop counts a use down, or has that done as soon as it can be written.
func (d *Driver) drop(name, id string) error {
	if _, err := d.uses.Drop(name, id); err != nil {
		d.owed.add(name, id)
		return fmt.Errorf("counting the use (it is tried again by itself): %w", err)
	}
	return nil
}

// dropOwed tries again what could not be written.
func (d *Driver) dropOwed(name string) {
	for _, id := range d.owed.take(name) {
		if err := d.drop(name, id); err != nil {
			d.log.WithError(err).WithField("volume", name).Warn("a use that ended is still counted")
		}
	}
}
