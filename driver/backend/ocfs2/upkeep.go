package ocfs2

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// Times of a drain.
const (
	// lowerLimit is how long a busy pool is tried again: the plugin's own looks at it end within seconds.
	lowerLimit = 20 * time.Second
	// leaveLimit is how long the heartbeat may take to end after the unmount; it is over when umount(8) returns, unless
	// something else still has the file system.
	leaveLimit = 10 * time.Second
	lowerTick  = 500 * time.Millisecond
	// umountLimit is for writing out what is dirty.
	umountLimit = 5 * time.Minute
)

// Neighbours names the other nodes that have the pool mounted: those that are live in its heartbeat region or, when it is not
// mounted here, those that the slot map on its disk shows. There a node stays that died, until another one mounts the pool.
func (b *Backend) Neighbours(ctx context.Context, name string) ([]string, error) {
	pool, err := b.reserved(name)
	if err != nil {
		return nil, err
	}
	mount, err := b.mounted(ctx, pool)
	if err != nil {
		return nil, b.slow(pool, err)
	}
	if mount == nil {
		return b.onDisk(ctx, pool)
	}
	facts, err := b.kernel.Filesystem(ctx, mounter.Place{Side: mounter.Host, Path: pool.Path})
	if err != nil {
		return nil, b.slow(pool, err)
	}
	cluster, err := b.kernel.Cluster(ctx, facts.UUID)
	if err != nil {
		return nil, b.slow(pool, fmt.Errorf("read the cluster's state: %w", err))
	}
	if !cluster.Region || cluster.Live == nil { // debugfs does not tell
		return b.onDisk(ctx, pool)
	}
	var others []string
	for node, number := range cluster.Nodes {
		if number != cluster.Node && slices.Contains(cluster.Live, number) {
			others = append(others, node)
		}
	}
	slices.Sort(others)
	return others, nil
}

// onDisk reads the slot map of the pool's disk.
func (b *Backend) onDisk(ctx context.Context, pool settings.Pool) ([]string, error) {
	device, err := b.connect(ctx, pool)
	if err != nil {
		return nil, err
	}
	output, err := b.kernel.Run(ctx, mounter.Command{Name: "mounted.ocfs2", Args: []string{"-f", device}})
	if err != nil {
		return nil, b.slow(pool, fmt.Errorf("run the host's mounted.ocfs2: %w", err))
	}
	nodes, ok := parseMounted(output.Stdout)
	if output.Code != 0 || !ok {
		return nil, fail(pool, "which nodes have it mounted is unknown: mounted.ocfs2 -f %s says %q (exit code %d)", device, last(output.Stdout+output.Stderr), output.Code)
	}
	cluster, err := b.kernel.Cluster(ctx, "")
	if err != nil {
		return nil, b.slow(pool, fmt.Errorf("read the cluster's state: %w", err))
	}
	return slices.DeleteFunc(nodes, func(node string) bool {
		number, known := cluster.Nodes[node]
		return known && number == cluster.Node || node == fmt.Sprint(cluster.Node) && cluster.Name != ""
	}), nil
}

// parseMounted reads the names, or numbers, below "Nodes": the columns are aligned, and that of the flags may be empty.
func parseMounted(text string) (nodes []string, ok bool) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	column := strings.Index(lines[0], "Nodes")
	if column < 0 || len(lines) < 2 || len(lines[1]) <= column {
		return nil, false
	}
	list := strings.TrimSpace(lines[1][column:])
	if list == "Not mounted" {
		return nil, true
	}
	for node := range strings.SplitSeq(list, ",") {
		nodes = append(nodes, strings.TrimSpace(node))
	}
	return nodes, !strings.Contains(list, ":") // "Unknown: Bad magic number in inode"
}

// Lower unmounts a pool that Refuse keeps for its upkeep, and makes sure that its heartbeat has ended on this node with it: as
// long as anything still has the file system, its disk must not be checked. A pool that is not mounted is success.
func (b *Backend) Lower(ctx context.Context, name string) error {
	pool, err := b.reserved(name)
	if err != nil {
		return err
	}
	if err := b.landed(ctx, pool); err != nil {
		return err
	}
	if err := b.noAutomount(ctx, pool); err != nil {
		return err
	}
	mount, err := b.mounted(ctx, pool)
	if err != nil {
		return b.slow(pool, err)
	}
	uuid := ""
	if mount != nil {
		if uuid, err = b.takeDown(ctx, pool, mount); err != nil {
			return err
		}
	}
	if err := b.left(ctx, pool, uuid); err != nil {
		return err
	}
	done, err := b.deeds(ctx, name)
	if err != nil || !done.Mounted {
		return err
	}
	return b.remark(ctx, name, func(done *deeds) { done.Mounted = false })
}

// takeDown unmounts what is at a pool's path, and says what it was.
func (b *Backend) takeDown(ctx context.Context, pool settings.Pool, mount *mounter.Mount) (uuid string, err error) {
	if mount.FSType != "ocfs2" || mount.Root != "/" {
		return "", fail(pool, "%s from %s is mounted at %s instead of the OCFS2 pool; unmount it (umount %s)", mount.FSType, mount.Source, pool.Path, pool.Path)
	}
	if uuid, err = b.remember(ctx, pool); err != nil {
		return "", b.slow(pool, err)
	}
	return uuid, b.umount(ctx, pool)
}

// noAutomount refuses a pool that the host would mount again as soon as anybody opens its path, also under a check.
func (b *Backend) noAutomount(ctx context.Context, pool settings.Pool) error {
	table, err := b.kernel.Table(ctx, mounter.Host)
	if err != nil {
		return b.slow(pool, err)
	}
	if slices.ContainsFunc(table, func(mount mounter.Mount) bool { return mount.Target == pool.Path && mount.FSType == autofs }) {
		return fail(pool, "the host has an automount at %s, which would mount it again, also under a check: stop that first "+
			"(systemctl stop \"$(systemd-escape --path --suffix=automount %[1]s)\")", pool.Path)
	}
	return nil
}

// landed waits for a bring-up that began before the drain.
func (b *Backend) landed(ctx context.Context, pool settings.Pool) error {
	b.mu.Lock()
	current := b.flights[pool.Name]
	b.mu.Unlock()
	if current == nil {
		return nil
	}
	select {
	case <-current.done:
		return nil
	case <-ctx.Done():
		return b.slow(pool, ctx.Err())
	}
}

// umount has the host's umount do it, again and again while the pool is busy, and then says with what.
func (b *Backend) umount(ctx context.Context, pool settings.Pool) error {
	said := ""
	gone, err := b.within(ctx, lowerLimit, func() (bool, error) {
		output, err := b.kernel.Run(ctx, mounter.Command{Name: "umount", Args: []string{pool.Path}, Limit: umountLimit})
		if err != nil {
			return false, b.slow(pool, fmt.Errorf("run the host's umount: %w", err))
		}
		said = last(output.Stderr)
		mount, err := b.mounted(ctx, pool)
		return mount == nil, err
	})
	if err != nil || gone {
		return err
	}
	occupants, err := b.kernel.Occupants(ctx, pool.Path, "")
	if err != nil {
		return b.slow(pool, err)
	}
	return fail(pool, "it cannot be unmounted (%s)%s", said, inTheWay(occupants, "stop %s (it has %s)"))
}

// within repeats a question until the answer is yes, an error, or the time is over.
func (b *Backend) within(ctx context.Context, limit time.Duration, ask func() (bool, error)) (bool, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(lowerTick)
	defer ticker.Stop()
	for {
		if yes, err := ask(); yes || err != nil {
			return yes, err
		}
		select {
		case <-ticker.C:
		case <-limited.Done():
			return false, ctx.Err()
		}
	}
}

// inTheWay lists processes as what to do; "" for none.
func inTheWay(occupants []mounter.User, format string) string {
	var texts []string
	for _, one := range occupants {
		texts = append(texts, fmt.Sprintf(format, fmt.Sprintf("process %d, %s", one.PID, one.Name), one.Target))
	}
	if len(texts) == 0 {
		return ""
	}
	return ": " + strings.Join(texts, "; ")
}

// Lift mounts a drained pool and proves it. One that is mounted is only proven.
func (b *Backend) Lift(ctx context.Context, name string) error {
	pool, err := b.reserved(name)
	if err != nil {
		return err
	}
	_, err = b.prove(ctx, pool, wanted{raise: true, upkeep: true})
	if errors.Is(err, backend.ErrUnused) {
		return nil
	}
	return err
}

var _ backend.Upkeep = (*Backend)(nil)
