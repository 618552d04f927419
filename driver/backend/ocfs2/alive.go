package ocfs2

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// again mounts a pool whose file system is alive on this node although nothing is mounted at its path: a bind of it, such as a volume
// that is in use, outlives the unmounting of the path. mount.ocfs2 would take a second reference to its heartbeat, which would never
// end (FACTS 2). mount(2) alone takes none; and since it is given no heartbeat option, it fails, with EINVAL and without an effect on
// the heartbeat, where nothing is alive any more (fs/ocfs2/super.c: ocfs2_verify_heartbeat, ocfs2_dismount_volume).
func (b *Backend) again(ctx context.Context, pool settings.Pool, device string) (mounted bool, err error) {
	alive, err := b.alive(ctx, pool, device)
	if err != nil || !alive {
		return false, err
	}
	was, err := b.deeds(ctx, pool.Name)
	if err != nil {
		return false, err
	}
	output, mounted, err := b.attempt(ctx, pool, device, []string{"-i"}, slices.DeleteFunc(slices.Clone(pool.MountOptions), ofFilesystem))
	if err != nil || mounted {
		return mounted, err
	}
	if err := b.remark(ctx, pool.Name, func(done *deeds) { *done = was }); err != nil {
		return false, err
	}
	occupants, err := b.occupants(ctx, pool, device)
	if err != nil || len(occupants) == 0 {
		return false, err // what was left over of it is a heartbeat, which mount.ocfs2 joins
	}
	return false, fail(pool, "it is not mounted at %s any more, but something on this node still has it, and it cannot be mounted there again (%s); "+
		"`docker homelab drain %s --stop` stops the containers that use it, and mounts it again%s",
		pool.Path, last(output.Stderr), pool.Name, inTheWay(occupants, "%s (it has it mounted at %s)"))
}

// ofFilesystem says whether an option is not one of a single mount (mount(8)). The file system has its own ones already.
func ofFilesystem(option string) bool {
	return !slices.Contains([]string{"noatime", "nodiratime", "relatime", "strictatime", "nosuid", "nodev", "noexec"}, option)
}

// alive says whether there is anything of a pool's file system on this node: its heartbeat, or a mount in any namespace. Only the
// heartbeat tells of one that was unmounted lazily.
func (b *Backend) alive(ctx context.Context, pool settings.Pool, device string) (bool, error) {
	uuid := specUUID(pool.Device)
	if uuid == "" {
		found, err := b.diskUUID(ctx, pool, device)
		if err != nil {
			return false, err
		}
		uuid = found
	}
	if uuid != "" {
		cluster, err := b.kernel.Cluster(ctx, uuid)
		if err != nil {
			return false, fmt.Errorf("read the cluster's state: %w", err)
		}
		if cluster.Region {
			return true, nil
		}
	}
	occupants, err := b.occupants(ctx, pool, device)
	return len(occupants) > 0, err
}

// occupants are who has a pool's disk mounted, one process of each mount namespace.
func (b *Backend) occupants(ctx context.Context, pool settings.Pool, device string) ([]mounter.User, error) {
	number, err := b.number(ctx, pool, device)
	if err != nil {
		return nil, err
	}
	return b.kernel.Occupants(ctx, "", number)
}

// number is a device as every mount table has it ("8:16"), whatever path it was mounted by: with multipath that is /dev/mapper/NAME,
// a link to /dev/dm-N. Where sysfs does not tell it, it is the path with its links followed.
func (b *Backend) number(ctx context.Context, pool settings.Pool, device string) (string, error) {
	name, found := b.real(device), ""
	err := b.kernel.Do(ctx, "number of "+pool.Name, func() error {
		text, err := os.ReadFile(b.kernel.HostPath(path.Join("/sys/class/block", path.Base(name), "dev")))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		found = strings.TrimSpace(string(text))
		return err
	})
	if err != nil {
		return "", err
	}
	if found == "" {
		return name, nil
	}
	return found, nil
}
