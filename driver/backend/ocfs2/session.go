package ocfs2

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/settings"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// Exit codes of iscsiadm (open-iscsi, iscsi_err.h).
const (
	sessionExists = 15 // ISCSI_ERR_SESS_EXISTS
	noSession     = 21 // ISCSI_ERR_NO_OBJS_FOUND
)

// login makes the iSCSI session. In one that is there already it looks for disks that are new on the NAS.
func (b *Backend) login(ctx context.Context, pool settings.Pool) error {
	target, portal := pool.ISCSI.Target, pool.ISCSI.Portal
	output, err := b.iscsiadm(ctx, "-m", "session")
	if missing(err) {
		return fail(pool, "it is not mounted, and this node has no iscsiadm to connect its disk: apt-get install open-iscsi")
	}
	if err != nil {
		return err
	}
	if slices.Contains(strings.Fields(output.Stdout), target) {
		_, err := b.iscsiadm(ctx, "-m", "node", "-T", target, "-p", portal, "--rescan")
		return err
	}
	output, err = b.iscsiadm(ctx, "-m", "node", "-T", target, "-p", portal)
	if err != nil {
		return err
	}
	known := output.Code == 0
	if err := b.discover(ctx, pool); err != nil {
		return err
	}
	return b.logIn(ctx, pool, known)
}

// discover asks the portal for its targets, without which there is no login. With "-o new" the records of the targets that this node
// knows stay as the operator set them: their CHAP, startup and timeouts.
func (b *Backend) discover(ctx context.Context, pool settings.Pool) error {
	target, portal := pool.ISCSI.Target, pool.ISCSI.Portal
	output, err := b.iscsiadm(ctx, "-m", "discovery", "-t", "sendtargets", "-p", portal, "-o", "new")
	if err != nil {
		return err
	}
	if output.Code != 0 {
		return fail(pool, "it is not mounted: the iSCSI portal %s does not answer (%s): is the NAS on, and is its iSCSI service running?", portal, last(output.Stderr))
	}
	if !slices.Contains(strings.Fields(output.Stdout), target) {
		return fail(pool, "it is not mounted: the iSCSI portal %s has no target %s for this node; correct ISCSI_TARGET, or allow this node's initiator on the NAS", portal, target)
	}
	return nil
}

// logIn notes before it logs in that it does. The record of a target that was not known is not kept when that fails: it has the
// settings of iscsid.conf as they were, which are what the operator is about to change.
func (b *Backend) logIn(ctx context.Context, pool settings.Pool, known bool) error {
	target, portal := pool.ISCSI.Target, pool.ISCSI.Portal
	if err := b.remark(ctx, pool.Name, func(done *deeds) { done.Target, done.Portal = target, portal }); err != nil {
		return err
	}
	output, err := b.iscsiadm(ctx, "-m", "node", "-T", target, "-p", portal, "--login")
	if err != nil {
		return err // it may have logged in
	}
	if output.Code != 0 {
		if err := b.remark(ctx, pool.Name, func(done *deeds) { done.Target, done.Portal = "", "" }); err != nil {
			return err
		}
	}
	switch output.Code {
	case 0:
	case sessionExists: // somebody was quicker, whose it is
		return nil
	default:
		said := last(output.Stderr)
		if !known {
			_, err = b.iscsiadm(ctx, "-m", "node", "-T", target, "-p", portal, "-o", "delete")
		}
		return errors.Join(fail(pool, "it is not mounted: the iSCSI target %s refused the login (%s): check its access list and CHAP settings", target, said), err)
	}
	b.log.WithFields(map[string]any{"pool": pool.Name, "target": target}).Info("iscsi session made")
	return nil
}

func (b *Backend) iscsiadm(ctx context.Context, args ...string) (mounter.Output, error) {
	return b.kernel.Run(ctx, mounter.Command{Name: "iscsiadm", Args: args, Limit: loginLimit})
}

func (b *Backend) logOut(ctx context.Context, name string, done deeds) error {
	pool := settings.Pool{Name: name}
	output, err := b.kernel.Run(ctx, mounter.Command{
		Name: "iscsiadm", Args: []string{"-m", "node", "-T", done.Target, "-p", done.Portal, "--logout"}, Limit: loginLimit,
	})
	if err != nil {
		return b.slow(pool, err)
	}
	if output.Code != 0 && output.Code != noSession {
		return fail(pool, "the iSCSI session to %s is still there (%s); end it with: iscsiadm -m node -T %s -p %s --logout", done.Target, last(output.Stderr), done.Target, done.Portal)
	}
	return nil
}

// sessions are the kernel's iSCSI sessions (drivers/scsi/scsi_transport_iscsi.c), of which each has its disks below it.
const sessions = "/sys/class/iscsi_session"

// occupied says what of the disks of a target's sessions is in use on this node: a mount, swap, or a volume manager's device; "" when
// nothing is. A session may have disks that are no pool's.
func (b *Backend) occupied(ctx context.Context, target string) (what string, err error) {
	table, err := b.kernel.Table(ctx, mounter.Host)
	if err != nil {
		return "", err
	}
	found := ""
	err = b.kernel.Do(ctx, "disks of "+target, func() (err error) {
		disks, err := b.disksOf(target)
		if err != nil {
			return err
		}
		swaps, err := b.swaps()
		if err != nil {
			return err
		}
		for _, disk := range disks {
			parts, err := filepath.Glob(filepath.Join(disk, filepath.Base(disk)+"*"))
			if err != nil {
				return err
			}
			for _, device := range append(parts, disk) {
				if found, err = usedBy(device, table, swaps); found != "" || err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return found, nil
}

// disksOf are the folders in sysfs of a target's disks.
func (b *Backend) disksOf(target string) ([]string, error) {
	folder := b.kernel.HostPath(sessions)
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var disks []string
	for _, entry := range entries {
		name, err := os.ReadFile(filepath.Join(folder, entry.Name(), "targetname"))
		if errors.Is(err, fs.ErrNotExist) || err == nil && strings.TrimSpace(string(name)) != target {
			continue // it has just ended, or is another one's
		}
		if err != nil {
			return nil, err
		}
		found, err := filepath.Glob(filepath.Join(folder, entry.Name(), "device/target*/*/block/*"))
		if err != nil {
			return nil, err
		}
		disks = append(disks, found...)
	}
	return disks, nil
}

// swaps are the names of the devices that the kernel swaps to.
func (b *Backend) swaps() ([]string, error) {
	text, err := os.ReadFile(b.kernel.HostPath("/proc/swaps"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 0 {
			names = append(names, path.Base(fields[0]))
		}
	}
	return names, nil
}

// usedBy says what uses a disk or a partition, by its folder in sysfs.
func usedBy(folder string, table []mounter.Mount, swaps []string) (string, error) {
	number, err := os.ReadFile(filepath.Join(folder, "dev"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil // no device, or one that is just going
	}
	if err != nil {
		return "", err
	}
	device := strings.TrimSpace(string(number))
	name := "/dev/" + filepath.Base(folder)
	// Btrfs has a number of its own in the table, and tells the disk as its source.
	if i := slices.IndexFunc(table, func(mount mounter.Mount) bool { return mount.Device == device || mount.Source == name }); i >= 0 {
		return name + " of it is mounted at " + table[i].Target, nil
	}
	if slices.Contains(swaps, filepath.Base(folder)) {
		return name + " of it is swapped to", nil
	}
	holders, err := os.ReadDir(filepath.Join(folder, "holders"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if len(holders) > 0 {
		return name + " of it is part of /dev/" + holders[0].Name(), nil
	}
	return "", nil
}
