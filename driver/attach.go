package driver

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/credential"
)

// attachFor makes sure that a catalog can be written, and tells the pool it is on: nil for the node's own. The cluster's
// catalog needs its pool proven, which brings the pool up when it is down.
func (d *Driver) attachFor(ctx context.Context, shelf *catalog.Catalog) (*backend.Pool, error) {
	if shelf == d.records.node {
		return nil, nil
	}
	configured, ok := d.options.Settings.Current().CatalogPool()
	if !ok {
		return nil, errors.New("its record is in the cluster's catalog, but the configuration names no catalog pool any more")
	}
	if known := d.catalogPool.Load(); known != nil && known.Name == configured.Name && d.records.cluster.State().Attached {
		return known, d.thawed(ctx)
	}
	proven, err := d.options.Pools.Prepare(ctx, configured.Name)
	if err != nil {
		return nil, fmt.Errorf("the pool %s, which holds the volumes' records, is not available: %w", configured.Name, err)
	}
	return &proven, d.attachCluster(ctx, proven)
}

// thawed refuses to write beside a catalog that is frozen. It is asked once more: the right pool may be back.
func (d *Driver) thawed(ctx context.Context) error {
	if d.records.cluster.State().Frozen == "" {
		return nil
	}
	return d.records.cluster.Refresh(ctx)
}

// credentialsFolder is where credentials that all nodes share are kept.
func credentialsFolder(pool backend.Pool) string {
	return path.Join(pool.Private, backend.CredentialsFolder)
}

// keepSecret stores what a volume's options said inline: on the catalog pool for all nodes, or on this node when the
// volume's record is here.
func (d *Driver) keepSecret(ctx context.Context, pool *backend.Pool, name string, secret credential.Credentials) error {
	if pool == nil {
		return d.options.Secrets.Set(ctx, name, secret)
	}
	return d.options.Secrets.SetAll(ctx, credentialsFolder(*pool), name, secret)
}

// dropSecret is for what keepSecret stored; what is gone already is success.
func (d *Driver) dropSecret(ctx context.Context, pool *backend.Pool, name string) error {
	remove := d.options.Secrets.Remove
	if pool != nil {
		remove = func(ctx context.Context, name string) error {
			return d.options.Secrets.RemoveAll(ctx, credentialsFolder(*pool), name)
		}
	}
	if err := remove(ctx, name); !errors.Is(err, credential.ErrNotFound) {
		return err
	}
	return nil
}

func (d *Driver) attachCluster(ctx context.Context, pool backend.Pool) error {
	cluster, folder := d.records.cluster, path.Join(pool.Private, backend.CatalogFolder)
	if err := d.secretsFirst(ctx, pool, folder); err != nil {
		return err
	}
	err := cluster.Attach(ctx, folder)
	if err == nil || errors.Is(err, catalog.ErrFrozen) { // one that is frozen is attached
		d.catalogPool.Store(&pool)
		d.strays.Set(pool.Name, "")
	}
	if err != nil {
		return fmt.Errorf("opening the volumes' records on pool %s: %w", pool.Name, err)
	}
	d.mirrorSecrets(ctx, pool)
	d.unfinished.add(d.interrupted()...)
	d.log.WithField("pool", pool.Name).Info("the cluster's catalog is attached")
	return nil
}

// secretsFirst gives the credentials for all nodes back to a pool with a new catalog, which this node takes up without a question since it
// knows no volume. Afterwards the catalog is the one that this node knows, and the copies here become what the pool has: so one that cannot
// have them is not attached.
func (d *Driver) secretsFirst(ctx context.Context, pool backend.Pool, folder string) error {
	replaced, err := d.records.cluster.Replaces(ctx, folder)
	if err != nil {
		return fmt.Errorf("opening the volumes' records on pool %s: %w", pool.Name, err)
	}
	if !replaced {
		return nil
	}
	_, err = d.giveBackSecrets(ctx, pool, false)
	return err
}

// giveBackSecrets writes this node's copies of the credentials for all nodes to a pool that lost them: all of them, or those that
// it does not have.
func (d *Driver) giveBackSecrets(ctx context.Context, pool backend.Pool, over bool) ([]string, error) {
	names, err := d.options.Secrets.GiveBack(ctx, credentialsFolder(pool), over)
	if len(names) > 0 {
		d.log.WithField("pool", pool.Name).WithField("names", names).Info("this node's copies of the credentials were written to the pool")
	}
	return names, err
}

// mirrorEvery is how often the pool's credentials are copied to this node, also when no volume was made or removed.
const mirrorEvery = 30 * time.Second

// mirrorDue says whether the last copy is old, or from a time that the clock has been put back from, as at a boot.
func (d *Driver) mirrorDue() bool {
	age := d.now().Sub(time.Unix(0, d.mirrored.Load()))
	return age >= mirrorEvery || age < 0
}

// mirrorSecrets copies the pool's credentials to this node. What is in the way is told once. A pool whose catalog is not the one that this
// node knows may have lost its credentials as well: the copies stay until the operator has decided.
func (d *Driver) mirrorSecrets(ctx context.Context, pool backend.Pool) {
	if d.records.cluster.State().Frozen != "" {
		return
	}
	d.mirrored.Store(d.now().UnixNano())
	d.mirroredAt.Store(d.records.cluster.State().Generation)
	err := d.options.Secrets.Mirror(ctx, credentialsFolder(pool))
	var text string
	if err != nil {
		text = err.Error()
	}
	if d.unmirrored.Set(pool.Name, text) && err != nil {
		d.log.WithError(err).WithField("pool", pool.Name).Warn("the credentials of the pool could not be copied to this node")
	}
}

// followCatalog keeps the mirror of the cluster's catalog up to date. It only proves the pool, and so never brings one up
// against the operator's will; it detaches when the pool is away, so that writes are refused with a sentence.
func (d *Driver) followCatalog(ctx context.Context) {
	configured, ok := d.options.Settings.Current().CatalogPool()
	if !ok {
		return
	}
	limited, cancel := context.WithTimeout(ctx, turnLimit)
	defer cancel()
	cluster := d.records.cluster
	if !cluster.State().Attached {
		proven, err := d.options.Pools.Check(limited, configured.Name)
		d.emptied(configured.Name, err)
		if err == nil {
			if err := d.attachCluster(limited, proven); err != nil {
				d.log.WithError(err).Debug("the cluster's catalog is not attached")
			}
		}
		return
	}
	proven, err := d.options.Pools.Check(limited, configured.Name)
	if known := d.catalogPool.Load(); err == nil && known != nil && *known != proven {
		err = fmt.Errorf("the configuration moved the catalog from %s to %s", known.Path, proven.Path)
	}
	if err != nil {
		if ctx.Err() != nil {
			return // the plugin ends: that says nothing of the pool
		}
		cluster.Detach()
		d.log.WithError(err).Warn("the cluster's catalog is away; its mirror answers")
		return
	}
	d.refreshCatalog(limited, proven)
}

// refreshCatalog reads what other nodes changed. Their volumes may have brought credentials, and so may their operators.
func (d *Driver) refreshCatalog(ctx context.Context, pool backend.Pool) {
	cluster := d.records.cluster
	if err := cluster.Refresh(ctx); err != nil {
		d.log.WithError(err).Debug("the cluster's catalog could not be read")
	}
	if cluster.State().Generation != d.mirroredAt.Load() || d.mirrorDue() { // a call may have read the change before
		d.mirrorSecrets(ctx, pool)
	}
}

// stage is Stage for a volume whose login another node may have stored just now.
func (d *Driver) stage(ctx context.Context, storage backend.Backend, record catalog.Record) (backend.Staged, error) {
	staged, err := storage.Stage(ctx, volumeOf(record))
	pool := d.catalogPool.Load()
	if !errors.Is(err, credential.ErrNotFound) || pool == nil || !d.records.cluster.State().Attached {
		return staged, err
	}
	limited, cancel := context.WithTimeout(ctx, refreshLimit) // a share does not wait for a pool that hangs
	defer cancel()
	d.mirrorSecrets(limited, *pool)
	return storage.Stage(ctx, volumeOf(record))
}
