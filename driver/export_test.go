package driver

import "context"

// Sweep is one whole sweep, waited for.
func (d *Driver) Sweep(ctx context.Context) {
	d.sweep(ctx)
	d.rest()
}

// Retain is what is done each hour, waited for.
func (d *Driver) Retain(ctx context.Context) {
	d.retain(ctx)
	d.rest()
}

func (d *Driver) rest() {
	for _, kind := range d.background() {
		kind.group.Wait()
	}
}
