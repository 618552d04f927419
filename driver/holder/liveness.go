package holder

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/internal/durable"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// nodeFile is what a node publishes of itself on a pool.
type nodeFile struct {
	Version int    `json:"version"`
	Name    string `json:"name"`
	Node    int    `json:"node"`
	Boot    string `json:"boot_id"`
}

// view is what is known of the nodes at one moment.
type view struct {
	self    Holder // this plugin, without uses
	alone   bool   // a standalone pool
	cluster mounter.Cluster
	dir     *durable.Dir
}

// clusterWait bounds one look at configfs and debugfs, which do not depend on the pool.
const clusterWait = 5 * time.Second

// look reads liveness anew. It is called under the directory's lock and does not follow the caller's deadline, so that a
// late thread sees the present.
func (k *Keeper) look(ctx context.Context, pool backend.Pool, dir *durable.Dir) (view, error) {
	now := view{
		self:  Holder{Name: k.options.Node, Boot: k.options.Kernel.BootID(), Instance: k.options.Instance},
		alone: pool.Standalone, dir: dir,
	}
	if pool.Standalone {
		return now, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clusterWait)
	defer cancel()
	cluster, err := k.options.Kernel.Cluster(ctx, pool.UUID)
	if err != nil {
		return view{}, fmt.Errorf("ask the cluster stack for this node's number: %w", err)
	}
	if cluster.Name == "" || cluster.Node < 0 { // every such node would take every holder for itself
		return view{}, fmt.Errorf("this node has no number in an o2cb cluster (%q), so that the holders of pool %s cannot be told apart: start it (systemctl start o2cb), with this node in /etc/ocfs2/cluster.conf",
			cluster.Name, pool.Name)
	}
	now.cluster, now.self.Node = cluster, cluster.Node
	return now, nil
}

// ours says whether a holder is on this node, in whichever boot and plugin.
//
// The number decides: no other live node of the cluster can have this node's. A name alone may have been changed.
func (v *view) ours(holder *Holder) bool {
	return v.alone || holder.Node == v.self.Node || holder.Name == v.self.Name && holder.Boot == v.self.Boot
}

// stale says whether a holder of this node is of an earlier boot.
func (v *view) stale(holder *Holder) bool { return v.ours(holder) && holder.Boot != v.self.Boot }

// gone says whether another node's hold is proven to be over.
func (v *view) gone(holder *Holder) bool { return v.dead(holder) || v.rebooted(holder) }

// mayWrite says whether a holder is not proven to be over.
func (v *view) mayWrite(holder *Holder) bool {
	return !v.stale(holder) && (v.ours(holder) || !v.gone(holder))
}

// dead: not in this region's view while this node is. Unknown means alive.
func (v *view) dead(holder *Holder) bool {
	live := v.cluster.Live
	return v.cluster.Region && slices.Contains(live, v.cluster.Node) && !slices.Contains(live, holder.Node) &&
		holder.Node != v.cluster.Node
}

// Gone says whether a node, by its name, is proven to be dead: it is not live in a pool's heartbeat region while this node is.
// False also when that cannot be known.
func (k *Keeper) Gone(ctx context.Context, pool backend.Pool, node string) bool {
	var gone bool
	err := k.options.Kernel.Do(ctx, "nodes "+pool.UUID, func() error {
		return k.inPool(pool, func(dir *durable.Dir) error {
			now, err := k.look(ctx, pool, dir)
			if err != nil {
				return err
			}
			published, err := readNode(dir, node)
			gone = err == nil && node != now.self.Name && now.dead(&Holder{Name: node, Node: published.Node})
			return err
		})
	})
	return err == nil && gone
}

// InForce lists the holders of a directory that may still write to it: not those of nodes that are proven to be gone, nor those of
// this node's earlier boots. A Join takes over from the others.
func (k *Keeper) InForce(ctx context.Context, directory Directory) ([]Holder, error) {
	if err := directory.validate(); err != nil {
		return nil, err
	}
	var holders []Holder
	err := k.do(ctx, directory, func() error {
		return k.inPool(directory.Pool, func(pool *durable.Dir) error {
			record, err := show(pool, directory)
			if err != nil || len(record.Holders) == 0 {
				return err
			}
			now, err := k.look(ctx, directory.Pool, pool)
			if err != nil {
				return err
			}
			for _, holder := range record.Holders {
				if now.mayWrite(&holder) {
					holders = append(holders, holder)
				}
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return holders, nil
}

// Former says whether a holder is this plugin in an earlier boot.
func (k *Keeper) Former(holder Holder) bool {
	return holder.Name == k.options.Node && holder.Boot != k.options.Kernel.BootID() && holder.Instance == k.options.Instance
}

// rebooted: the node has published another boot id than the one it joined with.
func (v *view) rebooted(holder *Holder) bool {
	published, err := readNode(v.dir, holder.Name)
	return err == nil && published.Node == holder.Node && published.Boot != "" && published.Boot != holder.Boot
}

func readNode(dir *durable.Dir, name string) (nodeFile, error) {
	var published nodeFile
	data, err := dir.Read(nodePath(name), MaxRecord)
	if err != nil {
		return published, err
	}
	if err := json.Unmarshal(data, &published); err != nil {
		return published, fmt.Errorf("read %s: %w", nodePath(name), err)
	}
	if published.Version != Version || published.Name != name {
		return published, fmt.Errorf("read %s: it is of node %q, version %d", nodePath(name), published.Name, published.Version)
	}
	return published, nil
}

func nodePath(name string) string { return backend.NodesFolder + "/" + name + ".json" }

// PublishNode writes this node's boot id where the others look for it, if it is not there already. Join does it by itself;
// doing it as soon as a pool is mounted frees earlier what the node held before a reboot.
func (k *Keeper) PublishNode(ctx context.Context, pool backend.Pool) error {
	err := k.options.Kernel.Do(ctx, "nodes "+pool.UUID, func() error {
		return k.inPool(pool, func(dir *durable.Dir) error {
			now, err := k.look(ctx, pool, dir)
			if err != nil {
				return err
			}
			return now.publish()
		})
	})
	if err != nil {
		return fmt.Errorf("tell the other nodes of pool %s that this one is up: %w", pool.Name, err)
	}
	return nil
}

// publish costs one small read when nothing changed, and two fsyncs (three the first time on a pool) after a boot.
func (v *view) publish() error {
	mine := nodeFile{Version: Version, Name: v.self.Name, Node: v.self.Node, Boot: v.self.Boot}
	present, err := readNode(v.dir, mine.Name)
	if err == nil && present == mine {
		return nil
	}
	if err == nil && present.Node != mine.Node && slices.Contains(v.cluster.Live, present.Node) {
		return fmt.Errorf("node number %d is live and has this node's name, %q; give each node a NODE_NAME of its own", present.Node, mine.Name)
	}
	text, err := encode(mine)
	if err != nil {
		return err
	}
	if err := v.dir.Mkdir(backend.NodesFolder); err != nil {
		return err
	}
	return v.dir.Write(nodePath(mine.Name), text)
}
