package driver

import "context"

// Sweep is one whole sweep, waited for.
func (d *Driver) Sweep(ctx context.Context) {
	d.sweep(ctx)
	for _, kind := range d.background() {
		kind.group.Wait()
	}
}
