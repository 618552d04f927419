package ocfs2

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// magic is OCFS2_SUPER_MAGIC (linux/magic.h).
const magic = 0x7461636f

// heartbeat is how often the o2cb stack writes its heartbeat (fs/ocfs2/cluster/heartbeat.h, O2HB_REGION_TIMEOUT_MS).
const heartbeat = 2 * time.Second

// silence is how long a disk may keep a heartbeat waiting: longer than a busy disk or a NAS's hiccup.
const silence = 4 * heartbeat

// wanted is what a proof may do and must find.
type wanted struct {
	raise bool   // bring the pool up when it is not mounted
	mark  bool   // make the private folder and the marker when they are missing
	space bool   // tell a standalone pool's free space, for which a whole mount table is read
	uuid  string // of the volume's record, or ""
	// upkeep is the drain itself, which others are refused for.
	upkeep bool
}

// proven is a pool that is what it should be.
type proven struct {
	settings.Pool
	uuid   string
	device string // "major:minor"
	root   string // the pool's root, as this process opens it
}

func (p *proven) private() string { return filepath.Join(p.root, backend.PrivateFolder) }

func (p *proven) public() backend.Pool {
	return backend.Pool{Name: p.Name, UUID: p.uuid, Path: p.Path, Private: p.private(), Standalone: p.Standalone}
}

// prove checks a pool, and remembers how it was.
func (b *Backend) prove(ctx context.Context, pool settings.Pool, want wanted) (proven, error) {
	found := proven{Pool: pool}
	facts, err := b.examine(ctx, &found, want)
	b.note(pool, facts, err)
	if err != nil {
		return proven{}, err
	}
	return found, nil
}

func (b *Backend) examine(ctx context.Context, found *proven, want wanted) (mounter.Filesystem, error) {
	if refused := b.refusal(found.Name); refused.all && !want.upkeep {
		return mounter.Filesystem{}, refused.failure(found.Pool)
	}
	if found.Standalone {
		return b.examineStandalone(ctx, found, want)
	}
	mount, err := b.mounted(ctx, found.Pool)
	if err == nil && mount == nil {
		if !want.raise {
			return mounter.Filesystem{}, b.notMounted(ctx, found.Pool, "")
		}
		if err = b.raise(ctx, found.Pool, want.upkeep); err == nil {
			mount, err = b.mounted(ctx, found.Pool)
		}
	}
	if err != nil {
		return mounter.Filesystem{}, b.slow(found.Pool, err)
	}
	if mount == nil {
		return mounter.Filesystem{}, b.notMounted(ctx, found.Pool, "")
	}
	facts, err := b.kernel.Filesystem(ctx, mounter.Place{Side: mounter.Host, Path: found.Path})
	if err != nil {
		return facts, b.slow(found.Pool, err)
	}
	if err := b.proveFilesystem(ctx, found, *mount, facts, want); err != nil {
		return facts, err
	}
	return facts, b.proveMarker(ctx, found, want)
}

// examineStandalone needs the marker only: whatever is mounted over the folder hides it.
func (b *Backend) examineStandalone(ctx context.Context, found *proven, want wanted) (mounter.Filesystem, error) {
	if err := b.proveMarker(ctx, found, want); err != nil || (!want.space && !want.mark) {
		return mounter.Filesystem{}, err
	}
	facts, err := b.kernel.Filesystem(ctx, mounter.Place{Side: mounter.Host, Path: found.Path})
	return facts, b.slow(found.Pool, err)
}

// mounted is what the host's table shows on top at the pool's path, or nil. An automount that waits there is nothing yet.
func (b *Backend) mounted(ctx context.Context, pool settings.Pool) (*mounter.Mount, error) {
	mount, _, err := b.mountedOrDue(ctx, pool)
	return mount, err
}

// autofs is the type of what systemd mounts at the path of an automount (systemd.automount(5)): whoever opens the path has the file
// system mounted over it.
const autofs = "autofs"

// mountedOrDue tells also whether there is an automount, and nothing else.
func (b *Backend) mountedOrDue(ctx context.Context, pool settings.Pool) (mount *mounter.Mount, due bool, err error) {
	table, err := b.kernel.Table(ctx, mounter.Host)
	if err != nil {
		return nil, false, err
	}
	var over *mounter.Mount
	for _, mount := range slices.Backward(table) {
		switch {
		case mount.Target != pool.Path:
		case mount.FSType == autofs:
			over = &mount
		case over != nil: // opening the path would mount it a second time
			return over, false, nil
		default:
			return &mount, false, nil
		}
	}
	return nil, over != nil, nil
}

// proveFilesystem compares what is mounted with what was asked for.
func (b *Backend) proveFilesystem(ctx context.Context, found *proven, mount mounter.Mount, facts mounter.Filesystem, want wanted) error {
	pool := found.Pool
	if facts.Magic != magic || facts.Type != "ocfs2" || facts.Device != mount.Device {
		return fail(pool, "%s from %s is mounted at %s instead of the OCFS2 pool; unmount it (umount %s), the pool is then mounted by itself",
			mount.FSType, mount.Source, pool.Path, pool.Path)
	}
	if mount.Root != "/" {
		return fail(pool, "only the directory %s of a file system is mounted at %s, not its root; unmount it (umount %s)", mount.Root, pool.Path, pool.Path)
	}
	found.uuid, found.device = facts.UUID, facts.Device
	if configured := specUUID(pool.Device); configured != "" && configured != facts.UUID {
		return fail(pool, "the file system at %s has the UUID %s, but %s is configured; mount the right one, or correct POOL_DEVICE", pool.Path, facts.UUID, configured)
	}
	if want.uuid != "" && want.uuid != facts.UUID {
		return otherPool(pool, "the file system at %s has the UUID %s, but the volume was created on %s; mount the right one, or remove the volume and create it again", pool.Path, facts.UUID, want.uuid)
	}
	if facts.ReadOnly || mount.ReadOnly {
		return fail(pool, "the file system at %s is read-only, as OCFS2 makes itself after an error (`dmesg` tells it); on this node, `docker homelab drain %s --stop` stops the containers that use it, checks it and mounts it again",
			pool.Path, pool.Name)
	}
	return b.proveCluster(ctx, found, mount)
}

// proveCluster refuses a mount whose locks other nodes do not see (fs/ocfs2/super.c, ocfs2_show_options).
func (b *Backend) proveCluster(ctx context.Context, found *proven, mount mounter.Mount) error {
	options := strings.Split(mount.Options+","+mount.SuperOptions, ",")
	has := func(option string) bool { return slices.Contains(options, option) }
	if has("localflocks") {
		return fail(found.Pool, "it is mounted at %s with localflocks, so that nodes do not see each other's locks; mount it without", found.Path)
	}
	if i := slices.IndexFunc(options, func(option string) bool {
		return strings.HasPrefix(option, "cluster_stack=") && option != "cluster_stack=o2cb"
	}); i >= 0 {
		return fail(found.Pool, "it is mounted at %s with %s, but which nodes live, and which one this is, only o2cb tells: two nodes would write one database. "+
			"Set up o2cb on every node, change the file system to it (tunefs.ocfs2 --update-cluster-stack) and mount it again", found.Path, options[i])
	}
	if has("heartbeat=global") {
		return fail(found.Pool, "it is mounted at %s with a global heartbeat, which goes on when a pool is unmounted: neither a check nor a shutdown could tell that this node has let go of it. "+
			"Unmount every pool on every node; on each of them `o2cb heartbeat-mode CLUSTER local` and `systemctl restart o2cb`; once `tunefs.ocfs2 --update-cluster-stack DEVICE`; then mount it again", found.Path)
	}
	if !has("heartbeat=local") {
		return fail(found.Pool, "it is mounted at %s without a heartbeat, for one node only: two nodes would destroy it. Start the cluster (systemctl start o2cb) and mount it again; "+
			"a file system made with mkfs.ocfs2 -M local must be changed with tunefs.ocfs2 -M cluster", found.Path)
	}
	cluster, err := b.kernel.Cluster(ctx, found.uuid)
	if err != nil {
		return b.slow(found.Pool, fmt.Errorf("read the cluster's state: %w", err))
	}
	if !cluster.Region {
		return fail(found.Pool, "it is mounted at %s, but its heartbeat does not run on this node; stop its containers, umount %s, restart the cluster (systemctl restart o2cb) and mount it again", found.Path, found.Path)
	}
	if cluster.Silent > silence {
		return hung(found.Pool, cluster)
	}
	return nil
}

// hung says that the disk does not answer. What the kernel has in memory would still be mounted, and a container would hang
// on the first thing that it has not.
func hung(pool settings.Pool, cluster mounter.Cluster) error {
	// fs/ocfs2/cluster/heartbeat.c, O2HB_MAX_WRITE_TIMEOUT_MS; when every node has lost the disk, they agree to wait.
	reset := time.Duration(cluster.DeadThreshold-1) * heartbeat
	return fail(pool, "its disk has not answered since %s (this node's last heartbeat on it); see that the NAS runs and that this node reaches it. "+
		"Everything goes on by itself when the disk is back; a node that alone has lost it resets itself after %.0f s",
		time.Now().Add(-cluster.Silent).UTC().Format(time.RFC3339), reset.Seconds())
}

// fail is a sentence about a pool; what it names must be repaired, after which the pool is well by itself.
func fail(pool settings.Pool, format string, args ...any) error {
	return &backend.Failure{Away: true, Text: fmt.Sprintf("pool %s: ", pool.Name) + fmt.Sprintf(format, args...)}
}

// otherPool is fail for a pool that is well and is not the one that a volume was made on.
func otherPool(pool settings.Pool, format string, args ...any) error {
	return &backend.Failure{Away: true, Err: errOtherPool, Text: fmt.Sprintf("pool %s: ", pool.Name) + fmt.Sprintf(format, args...)}
}

// slow says that a pool does not answer; other errors are passed with the pool's name.
func (b *Backend) slow(pool settings.Pool, err error) error {
	if _, known := errors.AsType[*backend.Failure](err); known || err == nil {
		return err
	}
	if failure, silent := backend.PoolSilent(pool.Name, pool.Path, err); silent {
		return failure
	}
	return &backend.Failure{Err: err, Text: fmt.Sprintf("pool %s (%s): %v", pool.Name, pool.Path, err)}
}

// notMounted says that the pool is away and what the path is instead.
func (b *Backend) notMounted(ctx context.Context, pool settings.Pool, why string) error {
	if _, due, err := b.mountedOrDue(ctx, pool); err == nil && due { // a look into it would have it mounted
		return fail(pool, "it is not mounted: the automount of the host at %s mounts it when a volume of it is used", pool.Path)
	}
	what, seen := "does not exist", "does not exist"
	err := b.kernel.Do(ctx, "pool path "+pool.Name, func() error {
		entries, err := os.ReadDir(b.kernel.HostPath(pool.Path))
		if err == nil && len(entries) == 0 {
			seen = "is an empty folder of the root disk"
		} else if err == nil {
			seen = "is a plain folder of the root disk, with files in it"
		}
		return nil
	})
	if err == nil { // else the work may still be writing to seen
		what = seen
	}
	if why == "" {
		why = "mount it (mount -t ocfs2 " + pool.Device + " " + pool.Path + ")"
	}
	return fail(pool, "it is not mounted: %s %s now, and nothing was written there; %s", pool.Path, what, why)
}
