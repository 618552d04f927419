package ocfs2

import (
	"fmt"
	"path"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/backend/internal/directory"
	"github.com/homelab-storage/homelab-storage/driver/settings"
)

// standaloneName is the name of the standalone pool (DESIGN D14). Its volumes stay valid when STANDALONE is switched off.
const standaloneName = "standalone"

const noPool = "no pool is configured, so there is nowhere to keep a database safely. Either configure the cluster's OCFS2 pool: " +
	"`docker plugin set homelab-storage POOL_NAME=media-apps POOL_DEVICE=UUID=... POOL_PATH=/mnt/iscsi/media-apps` (or pools: in config.yaml); or, on a single node without a cluster, " +
	"`docker plugin set homelab-storage STANDALONE=true`: volumes are then kept on this node only. Settings are changed while the plugin is disabled"

// find gives a pool by name. standalone asks for the node's own pool, whatever the settings say now.
func (b *Backend) find(name string, standalone bool) (settings.Pool, error) {
	if standalone {
		return settings.Pool{Name: standaloneName, Path: b.local, Standalone: true}, nil
	}
	current := b.settings.Current()
	if pool, ok := current.PoolNamed(name); ok {
		return pool, nil
	}
	return settings.Pool{}, &backend.Failure{Err: backend.ErrNotConfigured, Text: fmt.Sprintf(
		"pool %q is not configured on this node; %s", name, describe(current.Pools))}
}

// first is the pool of a volume that names none.
func (b *Backend) first() (settings.Pool, error) {
	current := b.settings.Current()
	switch {
	case len(current.Pools) > 0:
		return current.Pools[0], nil
	case current.Standalone:
		return b.find(standaloneName, true)
	}
	return settings.Pool{}, &backend.Failure{Err: backend.ErrNotConfigured, Text: noPool}
}

// byPath gives the pool with the longest path that a directory of the host is below, and the rest.
func (b *Backend) byPath(device string) (settings.Pool, string, error) {
	var found settings.Pool
	current := b.settings.Current()
	for _, pool := range current.Pools {
		if directory.Beneath(path.Clean(device), pool.Path) && len(pool.Path) > len(found.Path) {
			found = pool
		}
	}
	if found.Path == "" {
		return found, "", &backend.Failure{Err: backend.ErrNotConfigured, Text: fmt.Sprintf(
			"device=%q is not below a configured pool; %s. Configure the file system it is on (POOL_NAME, POOL_DEVICE and POOL_PATH, or pools: in config.yaml), or leave device out",
			device, describe(current.Pools))}
	}
	return found, strings.TrimPrefix(strings.TrimPrefix(path.Clean(device), found.Path), "/"), nil
}

func describe(pools []settings.Pool) string {
	if len(pools) == 0 {
		return "no pool is configured"
	}
	var texts []string
	for _, pool := range pools {
		texts = append(texts, fmt.Sprintf("%s (%s)", pool.Name, pool.Path))
	}
	return "the configured pools are " + strings.Join(texts, ", ")
}
