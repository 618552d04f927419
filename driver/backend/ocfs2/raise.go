package ocfs2

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// Times of a bring-up.
const (
	// raiseLimit bounds a whole bring-up; mount.ocfs2 alone takes 6-10 s, and 69 s when the nodes' timeouts differ (FACTS 2).
	raiseLimit = 4 * time.Minute
	mountLimit = 2 * time.Minute
	loginLimit = 40 * time.Second
	// deviceLimit is how long a disk may take to appear after an iSCSI login.
	deviceLimit = 20 * time.Second
	deviceTick  = 250 * time.Millisecond
)

// flight is a bring-up that has not ended. It is independent of those who wait for it.
type flight struct {
	since time.Time
	done  chan struct{} // closed at the end
	err   error         // valid when done is closed
}

// raise brings a pool up, once for everybody who asks meanwhile. Their time may end first; the bring-up then goes on.
func (b *Backend) raise(ctx context.Context, pool settings.Pool, upkeep bool) error {
	current, first, err := b.register(pool, upkeep)
	if err != nil {
		return err
	}
	if first {
		work, cancel := context.WithTimeout(context.WithoutCancel(ctx), raiseLimit)
		go func() {
			defer cancel()
			b.land(pool.Name, current, b.bringUp(work, pool))
		}()
	}
	select {
	case <-current.done:
		return current.err
	case <-ctx.Done():
		return &backend.Failure{Away: true, Err: ctx.Err(), Text: fmt.Sprintf(
			"pool %s is being brought up since %s (iSCSI login, cluster, mount) and is not ready yet; try again", pool.Name, current.since.UTC().Format(time.RFC3339))}
	}
}

// register joins the bring-up that is under way, or begins one. A pool that is drained is brought up by its upkeep only: what was
// proven a moment before the drain began must not mount it again.
func (b *Backend) register(pool settings.Pool, upkeep bool) (current *flight, first bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if refused := b.refusals[pool.Name]; refused.all && !upkeep {
		return nil, false, refused.failure(pool)
	}
	if current := b.flights[pool.Name]; current != nil {
		return current, false, nil
	}
	current = &flight{since: b.now(), done: make(chan struct{})}
	b.flights[pool.Name] = current
	return current, true, nil
}

func (b *Backend) land(name string, current *flight, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	current.err = err
	delete(b.flights, name)
	close(current.done)
}

// bringUp finds the disk, logs in to its target if need be, and mounts it. It looks again first: another bring-up may have ended after
// the look that led to this one, and a pool is not mounted twice.
func (b *Backend) bringUp(ctx context.Context, pool settings.Pool) error {
	mount, due, err := b.mountedOrDue(ctx, pool)
	if err != nil || mount != nil {
		return b.slow(pool, err)
	}
	if due {
		return b.trigger(ctx, pool)
	}
	device, err := b.connect(ctx, pool)
	if err != nil {
		return err
	}
	if err := b.elsewhere(ctx, pool, device); err != nil {
		return b.slow(pool, err)
	}
	if err := b.unchecked(ctx, pool, device); err != nil {
		return err
	}
	mounted, err := b.again(ctx, pool, device)
	if err != nil || mounted {
		return b.slow(pool, err)
	}
	return b.slow(pool, b.mount(ctx, pool, device))
}

// trigger has the host's automount mount the pool.
func (b *Backend) trigger(ctx context.Context, pool settings.Pool) error {
	if _, err := b.kernel.Filesystem(ctx, mounter.Place{Side: mounter.Host, Path: pool.Path}); err != nil && ctx.Err() != nil {
		return b.slow(pool, err)
	}
	mount, err := b.mounted(ctx, pool)
	if err != nil || mount != nil {
		return b.slow(pool, err)
	}
	return fail(pool, "it is not mounted, and the automount of the host at %s did not mount it: see `systemctl status` and `journalctl -u` of the mount unit (systemd-escape --path --suffix=mount %[1]s)", pool.Path)
}

// connect finds the disk, and logs in to its target if need be.
func (b *Backend) connect(ctx context.Context, pool settings.Pool) (string, error) {
	if pool.Device == "" {
		return "", b.notMounted(ctx, pool, "configure its device (POOL_DEVICE=UUID=...), or mount it there")
	}
	device, err := b.device(ctx, pool)
	if err == nil && device == "" && pool.ISCSI != nil {
		if err = b.login(ctx, pool); err == nil {
			device, err = b.appear(ctx, pool)
		}
	}
	switch {
	case err != nil:
		return "", b.slow(pool, err)
	case device == "":
		why := "its disk " + pool.Device + " is not on this node: connect it (`iscsiadm -m session`, `blkid`)"
		if pool.ISCSI == nil {
			why += ", or configure ISCSI_PORTAL and ISCSI_TARGET to have it connected"
		}
		return "", b.notMounted(ctx, pool, why)
	}
	return device, nil
}

// appear waits for the disk of a session.
func (b *Backend) appear(ctx context.Context, pool settings.Pool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, deviceLimit)
	defer cancel()
	ticker := time.NewTicker(deviceTick)
	defer ticker.Stop()
	for {
		device, err := b.device(ctx, pool)
		if device != "" || err != nil && ctx.Err() == nil { // a search that is cut off by the limit found nothing
			return device, err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return "", fail(pool, "it is not mounted: the iSCSI session to %s is there, but no disk %s appeared within %s: check the target's LUNs on the NAS and the UUID or label (`lsblk -f`)",
				pool.ISCSI.Target, pool.Device, deviceLimit)
		}
	}
}

// mount has the host's mount.ocfs2 mount the disk.
func (b *Backend) mount(ctx context.Context, pool settings.Pool, device string) error {
	before := lastLogged(b.kernelLog(ctx))
	output, mounted, err := b.attempt(ctx, pool, device, nil, pool.MountOptions)
	if err != nil || mounted {
		return err
	}
	if err := b.remark(ctx, pool.Name, func(done *deeds) { done.Mounted = false }); err != nil {
		return err
	}
	return fail(pool, "mount -t ocfs2 %s %s failed: %s", device, pool.Path, b.reason(ctx, output, before))
}

// attempt notes that the plugin mounts the pool, and runs the host's mount. Its exit code is not looked at: the mount table is (FACTS 2).
func (b *Backend) attempt(ctx context.Context, pool settings.Pool, device string, args, options []string) (output mounter.Output, mounted bool, err error) {
	err = b.kernel.Do(ctx, "mount point of "+pool.Name, func() error { return os.MkdirAll(b.kernel.HostPath(pool.Path), 0o755) })
	if err != nil {
		return output, false, fmt.Errorf("make the mount point: %w", err)
	}
	if err := b.remark(ctx, pool.Name, func(done *deeds) { done.Mounted, done.Path = true, pool.Path }); err != nil {
		return output, false, err
	}
	args = append(args, "-t", "ocfs2")
	if len(options) > 0 {
		args = append(args, "-o", strings.Join(options, ","))
	}
	output, err = b.kernel.Run(ctx, mounter.Command{Name: "mount", Args: append(args, device, pool.Path), Limit: mountLimit})
	if err != nil {
		return output, false, fmt.Errorf("run the host's mount: %w", err)
	}
	mount, err := b.mounted(ctx, pool)
	if err != nil || mount == nil {
		return output, false, err
	}
	b.log.WithFields(map[string]any{"pool": pool.Name, "device": device, "path": pool.Path}).Info("pool mounted")
	_, err = b.remember(ctx, pool)
	return output, true, err
}
