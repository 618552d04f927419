package driver

import (
	"context"
	"errors"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
)

// errSwarm is why a Swarm's member makes no standalone volume (DESIGN D14).
var errSwarm = errors.New("this node is an active member of a Swarm, and a STANDALONE volume would be another one on every node; " +
	"configure a pool (POOL_NAME, POOL_DEVICE and POOL_PATH, see the README), or leave the Swarm")

// allowed refuses what only the whole node knows: a standalone volume on a Swarm member, and a second standalone pool.
func (d *Driver) allowed(ctx context.Context, location backend.Location) error {
	if !location.Standalone {
		return nil
	}
	active, err := d.options.Engines.Swarm(ctx)
	if err != nil {
		d.log.WithError(err).Warn("the engine did not say whether this node is in a Swarm")
	}
	if active {
		return errSwarm
	}
	return d.samePool(ctx, location.Pool)
}

// samePool refuses to begin a new standalone pool where the one with the node's volumes was: its disk is not mounted.
func (d *Driver) samePool(ctx context.Context, pool string) error {
	for _, record := range d.records.node.List() {
		if record.Location.Standalone && record.State == catalog.Ready {
			_, err := d.options.Pools.Check(ctx, pool)
			return err
		}
	}
	return nil
}

// watchSwarm looks whether STANDALONE and a Swarm have met on this node, before a Create has to say so.
func (d *Driver) watchSwarm(ctx context.Context) {
	if !d.options.Settings.Current().Standalone {
		d.aloneInSwarm.Store(false)
		return
	}
	limited, cancel := context.WithTimeout(ctx, turnLimit)
	defer cancel()
	if active, err := d.options.Engines.Swarm(limited); err == nil {
		d.aloneInSwarm.Store(active)
	}
}
