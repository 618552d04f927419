package lab

import (
	"context"
	"fmt"
	"strings"

	"github.com/homelab-storage/homelab-storage/integration/lab/machine"
)

// LoginISCSI discovers the NAS and logs the node in to the target of a LUN; it returns the block
// device under its stable name in /dev/disk/by-path.
func (n *Node) LoginISCSI(ctx context.Context, lun string) (string, error) {
	nas := n.lab.nas
	device := n.Device(lun)
	_, err := n.Output(ctx, fmt.Sprintf(`set -e
iscsiadm --mode discovery --type sendtargets --portal %[1]s
iscsiadm --mode node --targetname %[2]s --portal %[1]s --login
udevadm settle --exit-if-exists=%[3]s
[ -b %[3]s ]`, nas.Portal(), nas.Target(lun), device))
	return device, err
}

// Device is the stable name of a LUN's block device on every node.
func (n *Node) Device(lun string) string {
	return fmt.Sprintf("/dev/disk/by-path/ip-%s-iscsi-%s-lun-1", n.lab.nas.Portal(), n.lab.nas.Target(lun))
}

// LogoutISCSI ends the session with a LUN's target.
func (n *Node) LogoutISCSI(ctx context.Context, lun string) error {
	_, err := n.Output(ctx, fmt.Sprintf("iscsiadm --mode node --targetname %s --portal %s --logout", n.lab.nas.Target(lun), n.lab.nas.Portal()))
	return err
}

// FormatPool makes an OCFS2 filesystem on a LUN that the node is logged in to, with room for four
// nodes and the LUN's name as its label. Once per LUN is enough. More options are added to those of
// mkfs.ocfs2, which asks whether a given UUID (-U) is meant.
func (n *Node) FormatPool(ctx context.Context, lun string, more ...string) error {
	_, err := n.Output(ctx, fmt.Sprintf("yes | mkfs.ocfs2 -q -F -T datafiles -b 4K -C 4K -N 4 -L %s --fs-feature-level=max-features "+
		"--fs-features=refcount,indexed-dirs,xattr,usrquota,grpquota,discontig-bg --cluster-stack=o2cb --cluster-name=lab %s %s",
		lun, strings.Join(more, " "), n.Device(lun)))
	return err
}

// StartO2CB brings the cluster stack up, as Debian's init script would. The threshold is o2cb's
// count of two-second heartbeats before a node is declared dead: 31 is its default, 7 (12 s) makes
// failover quick. It must be the same on every node, or mounts fail after 69 s; see o2cb(7).
func (n *Node) StartO2CB(ctx context.Context, threshold int) error {
	_, err := n.Output(ctx, fmt.Sprintf(`set -e
modprobe -a configfs ocfs2_stack_o2cb ocfs2_dlmfs ocfs2
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
o2cb register-cluster lab
cd /sys/kernel/config/cluster/lab
echo %d >heartbeat/dead_threshold
echo 5000 >idle_timeout_ms
echo 1000 >keepalive_delay_ms
mkdir -p /dlm
mountpoint -q /dlm || mount -t ocfs2_dlmfs none /dlm`, threshold))
	return err
}

// MountPool mounts a LUN's OCFS2 filesystem with the host's own tools. They exit with 0 also when
// they mounted nothing, so the mount table decides.
func (n *Node) MountPool(ctx context.Context, lun, path string) error {
	_, err := n.Output(ctx, fmt.Sprintf("mkdir -p %[2]s && mount -t ocfs2 %[1]s %[2]s && mountpoint %[2]s || { dmesg | tail -n 5; exit 1; }",
		n.Device(lun), machine.Quote(path)))
	return err
}

// MountShare mounts a share with the kernel's SMB client. Options are added to the defaults.
func (n *Node) MountShare(ctx context.Context, share, path string, options ...string) error {
	const file = "/run/lab/smb"
	nas := n.lab.nas
	secret := fmt.Sprintf("username=%s\npassword=%s\n", nas.Username(), nas.Password())
	if err := n.Put(ctx, strings.NewReader(secret), file, 0o600); err != nil {
		return err
	}
	all := strings.Join(append([]string{"credentials=" + file, "vers=3.1.1", "hard"}, options...), ",")
	_, err := n.Output(ctx, fmt.Sprintf("mkdir -p %[3]s && mount -t cifs -o %[4]s //%[1]s/%[2]s %[3]s",
		nas.Server(), share, machine.Quote(path), machine.Quote(all)))
	return err
}
