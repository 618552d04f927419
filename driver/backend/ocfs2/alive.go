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

// alive says whether there is anything of a pool's file system on this node.
func (b *Backend) alive(ctx context.Context, pool settings.Pool, device string) (bool, error) {
	uuid, _, err := b.identify(ctx, pool, device)
	if err != nil {
		return false, err
	}
	found, err := b.remains(ctx, pool, device, uuid)
	return found.any(), err
}

// remains are what this node has of a pool's file system, whether or not it is mounted at its path: its heartbeat, or a mount in any
// namespace. Only the heartbeat tells of one that was unmounted lazily.
type remains struct {
	region    bool
	occupants []mounter.User
}

func (r remains) any() bool { return r.region || len(r.occupants) > 0 }

// failure is the sentence for a pool that nothing should remain of.
func (r remains) failure(pool settings.Pool, uuid string) error {
	what := inTheWay(r.occupants, "stop %s (it has it mounted at %s)")
	if what == "" {
		what = fmt.Sprintf(": its heartbeat goes on, and nobody has it mounted. Either it was unmounted lazily (umount -l) under somebody who uses it; "+
			"or a second mount.ocfs2 of it has left a reference to its heartbeat: `ocfs2_hb_ctl -I -u %[1]s` counts them, `ocfs2_hb_ctl -K -u %[1]s o2cb` takes one away", uuid)
	}
	return fail(pool, "it is not mounted at %s any more, but something on this node still has it%s", pool.Path, what)
}

// remains looks for a file system by its UUID and its disk, of which either may be "".
func (b *Backend) remains(ctx context.Context, pool settings.Pool, device, uuid string) (found remains, err error) {
	if uuid != "" {
		cluster, err := b.kernel.Cluster(ctx, uuid)
		if err != nil {
			return remains{}, fmt.Errorf("read the cluster's state: %w", err)
		}
		found.region = cluster.Region
	}
	if device != "" {
		found.occupants, err = b.occupants(ctx, pool, device)
	}
	return found, err
}

// left waits until nothing of a pool is left on this node. The UUID is that of what was just unmounted, or "".
func (b *Backend) left(ctx context.Context, pool settings.Pool, uuid string) error {
	device, err := b.device(ctx, pool)
	if err != nil {
		return b.slow(pool, err)
	}
	why := ""
	if uuid == "" || specUUID(pool.Device) != "" {
		if uuid, why, err = b.identify(ctx, pool, device); err != nil {
			return b.slow(pool, err)
		}
	}
	var found remains
	_, err = b.within(ctx, leaveLimit, func() (bool, error) {
		found, err = b.remains(ctx, pool, device, uuid)
		return !found.region, b.slow(pool, err)
	})
	switch {
	case err != nil:
		return err
	case found.any():
		return found.failure(pool, uuid)
	case uuid == "" && device != "":
		return fail(pool, "whether this node's heartbeat on its disk %s has ended is unknown, because %s; configure it by its UUID (POOL_DEVICE=UUID=...)", device, why)
	}
	return nil // also without a disk: a heartbeat that loses it resets the node
}

// identify finds the UUID of a pool's file system: the configured one, what its disk says, or that of what was mounted last. Where
// none of them tells, it is "", and the text says why.
func (b *Backend) identify(ctx context.Context, pool settings.Pool, device string) (uuid, why string, err error) {
	if uuid := specUUID(pool.Device); uuid != "" {
		return uuid, "", nil
	}
	if device != "" {
		if uuid, why, err = b.diskUUID(ctx, device); err != nil || uuid != "" {
			return uuid, "", err
		}
	}
	done, err := b.deeds(ctx, pool.Name)
	if err != nil || done.UUID != "" {
		return done.UUID, "", err
	}
	return b.known(pool.Name).facts.UUID, why, nil
}

// diskUUID asks the disk itself, whatever else it has a signature of: LVM, RAID and ZFS leave theirs behind.
func (b *Backend) diskUUID(ctx context.Context, device string) (uuid, why string, err error) {
	output, err := b.kernel.Run(ctx, mounter.Command{Name: "blkid", Args: []string{"-p", "-n", "ocfs2", "-o", "value", "-s", "UUID", device}})
	if err != nil {
		return "", "", fmt.Errorf("run the host's blkid: %w", err)
	}
	if uuid = strings.TrimSpace(output.Stdout); output.Code == 0 && uuid != "" {
		return specUUID("UUID=" + uuid), "", nil
	}
	return "", fmt.Sprintf("blkid -p -n ocfs2 finds no OCFS2 on it (%q, exit code %d)", last(output.Stderr), output.Code), nil
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
