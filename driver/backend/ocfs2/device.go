package ocfs2

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// specUUID is the UUID of a device=UUID=..., as 32 upper-case digits, or "".
func specUUID(device string) string {
	uuid, ok := strings.CutPrefix(device, "UUID=")
	if !ok {
		return ""
	}
	return strings.ToUpper(strings.ReplaceAll(strings.Trim(uuid, `"`), "-", ""))
}

// device finds the pool's block device on the host; "" when it is not there.
func (b *Backend) device(ctx context.Context, pool settings.Pool) (string, error) {
	if uuid := specUUID(pool.Device); uuid != "" {
		return b.blkid(ctx, "-U", settings.Dashed(uuid))
	}
	if label, ok := strings.CutPrefix(pool.Device, "LABEL="); ok {
		return b.blkid(ctx, "-L", strings.Trim(label, `"`))
	}
	found := ""
	err := b.kernel.Do(ctx, "device of "+pool.Name, func() error {
		if _, err := os.Stat(b.kernel.HostPath(pool.Device)); err == nil {
			found = pool.Device
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return found, nil
}

// blkid asks the host's blkid, which looks at the disks themselves when udev has not named them.
func (b *Backend) blkid(ctx context.Context, flag, value string) (string, error) {
	output, err := b.kernel.Run(ctx, mounter.Command{Name: "blkid", Args: []string{flag, value}})
	if err != nil {
		return "", fmt.Errorf("run the host's blkid: %w", err)
	}
	if output.Code != 0 {
		return "", nil
	}
	return strings.TrimSpace(output.Stdout), nil
}

// elsewhere refuses to mount a device that somebody has mounted at another path. Volumes, which are binds of a directory or, of class
// backup, of the whole pool at a path of the plugin's, are not looked at.
func (b *Backend) elsewhere(ctx context.Context, pool settings.Pool, device string) error {
	table, err := b.kernel.Table(ctx, mounter.Host)
	if err != nil {
		return err
	}
	number, err := b.number(ctx, pool, device)
	if err != nil {
		return err
	}
	for _, mount := range table {
		if mount.FSType != "ocfs2" || mount.Root != "/" || mount.Target == pool.Path || strings.Contains(mount.Target, "/propagated-mount/") {
			continue
		}
		same := mount.Device == number || b.real(mount.Source) == b.real(device)
		if wanted := specUUID(pool.Device); wanted != "" && !same {
			same = b.uuidAt(ctx, mount.Target) == wanted
		}
		if same {
			return fail(pool, "its disk %s is mounted at %s, and a pool is mounted at one path only; configure POOL_PATH=%s, or unmount it there (umount %s)",
				device, mount.Target, mount.Target, mount.Target)
		}
	}
	return nil
}

// askLimit is what a bring-up waits for another pool, which may hang.
const askLimit = 2 * time.Second

// uuidAt is the UUID of what is mounted at a path of the host; "" when it does not answer.
func (b *Backend) uuidAt(ctx context.Context, target string) string {
	limited, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	facts, err := b.kernel.Filesystem(limited, mounter.Place{Side: mounter.Host, Path: target})
	if err != nil {
		return ""
	}
	return facts.UUID
}

// real follows the links of a /dev path inside the host.
func (b *Backend) real(device string) string {
	if !strings.HasPrefix(device, "/") {
		return device
	}
	return strings.TrimPrefix(b.kernel.HostPath(device), strings.TrimSuffix(b.kernel.HostPath("/"), "/"))
}

// missing says whether a program of the host is not installed.
func missing(err error) bool { return errors.Is(err, os.ErrNotExist) }
