package lab

import (
	"context"
	"fmt"
	"strings"

	"github.com/homelab-storage/homelab-storage/integration/lab/machine"
	"github.com/homelab-storage/homelab-storage/integration/lab/remote"
)

// NAS is the storage server: tgtd and smbd of the host's Debian packages, inside the lab's box.
type NAS struct {
	// ISCSI exports the LUNs, SMB the shares.
	ISCSI, SMB *Service

	password string
	folder   string
	// protocols are the least and the greatest version that smbd speaks, in its own words.
	protocols [2]string
	guests    bool
}

// Server is the NAS's address, which nodes also know by the name nas.
func (*NAS) Server() string { return nasAddress }

// Portal is the iSCSI portal.
func (*NAS) Portal() string { return nasAddress + ":3260" }

// Target is the qualified name of the iSCSI target that has the LUN of that name, as number 1.
func (*NAS) Target(lun string) string { return "iqn.2026-01.lab.nas:" + lun }

// Username and password of the SMB account.
func (*NAS) Username() string { return "media" }

// Password is the SMB account's password.
func (n *NAS) Password() string { return n.password }

// Share is the host's folder behind a share, to see or change files beside the clients' backs.
func (n *NAS) Share(name string) string { return n.folder + "/shares/" + name }

// Spelled is the share whose name has what names on a NAS have: blanks, letters beyond ASCII, and what a shell takes for its own.
const Spelled = "Filme & Hörbücher"

// Shares are the names of the exported shares.
func (*NAS) Shares() []string { return []string{"torrents", "usenet", Spelled} }

func startNAS(ctx context.Context, l *Lab) (*NAS, error) {
	nas := &NAS{password: l.options.Password, folder: l.run.path("nas"), protocols: anyProtocol}
	iscsiLog, err := l.logFile("nas-iscsi.log")
	if err != nil {
		return nil, err
	}
	smbLog, err := l.logFile("nas-smb.log")
	if err != nil {
		return nil, err
	}
	nas.ISCSI = &Service{
		lab: l, name: "tgtd", log: iscsiLog,
		script:    "mkdir -p /run/tgtd && exec tgtd -f --iscsi portal=" + nas.Portal(),
		ready:     "tgtadm --lld iscsi --mode sys --op show",
		configure: nas.exports(l.options.LUNs),
	}
	nas.SMB = &Service{
		lab: l, name: "smbd", log: smbLog,
		script: "exec smbd --foreground --no-process-group --configfile=" + machine.Quote(nas.folder+"/smb.conf"),
		ready:  "(: </dev/tcp/" + nasAddress + "/445)",
	}
	if err := nas.prepare(ctx, l); err != nil {
		return nil, err
	}
	if err := nas.ISCSI.Start(ctx); err != nil {
		return nil, err
	}
	return nas, nas.SMB.Start(ctx)
}

// prepare makes disks, folders and the account. The account exists only in the box's own view of
// /etc/passwd: smbd wants one from the system, and the host shall not get one.
func (n *NAS) prepare(ctx context.Context, l *Lab) error {
	var script strings.Builder
	fmt.Fprintf(&script, `set -e
cd %s
mkdir -p luns samba/private samba/lock samba/state samba/cache samba/pid samba/ncalrpc
printf 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nmedia:x:7700:7700::/:/bin/false\n' >passwd
printf 'root:x:0:\nnogroup:x:65534:\nmedia:x:7700:\n' >group
mount --bind passwd /etc/passwd
mount --bind group /etc/group
`, machine.Quote(n.folder))
	for _, share := range n.Shares() {
		fmt.Fprintf(&script, "mkdir -p shares/%s\n", machine.Quote(share))
	}
	for _, lun := range l.options.LUNs {
		fmt.Fprintf(&script, "truncate -s %d luns/%s\n", lun.Size, machine.Quote(lun.Name))
	}
	if err := n.configure(l); err != nil {
		return err
	}
	if _, err := l.box.Output(ctx, script.String()); err != nil {
		return err
	}
	return n.setPassword(ctx, l)
}

// configure writes the configuration of smbd, which reads it when it starts.
func (n *NAS) configure(l *Lab) error {
	return l.run.root.WriteFile("nas/smb.conf", []byte(n.sambaConfig(l.run.path("logs", "nas-smbd.log"))), 0o644)
}

// setPassword makes the SMB account.
func (n *NAS) setPassword(ctx context.Context, l *Lab) error {
	var output strings.Builder
	code, err := l.box.Run(ctx, remote.Command{
		Script: "smbpasswd -c " + machine.Quote(n.folder+"/smb.conf") + " -L -s -a " + n.Username(),
		Stdin:  strings.NewReader(n.password + "\n" + n.password + "\n"),
		Stdout: &output, Stderr: &output,
	})
	if err == nil && code != 0 {
		err = fmt.Errorf("smbpasswd: exit code %d: %s", code, output.String())
	}
	return err
}

// Snapshot keeps a copy of a LUN as it is now, as a NAS does. No node may have it mounted.
func (n *NAS) Snapshot(ctx context.Context, lun string) error {
	return n.copyLUN(ctx, lun, lun+".snapshot")
}

// Rollback puts back the copy that [NAS.Snapshot] made. No node may have the LUN mounted.
func (n *NAS) Rollback(ctx context.Context, lun string) error {
	return n.copyLUN(ctx, lun+".snapshot", lun)
}

// copyLUN copies into a file that stays the same one: the server has it open.
func (n *NAS) copyLUN(ctx context.Context, from, to string) error {
	folder := n.folder + "/luns/"
	_, err := n.ISCSI.lab.box.Output(ctx, fmt.Sprintf("cp --sparse=always %s %s", machine.Quote(folder+from), machine.Quote(folder+to)))
	return err
}

// exports is the script that gives a fresh tgtd its targets.
func (n *NAS) exports(luns []LUN) string {
	var script strings.Builder
	script.WriteString("set -e\n")
	for i, lun := range luns {
		fmt.Fprintf(&script, `admin() { tgtadm --lld iscsi --tid %[1]d "$@"; }
admin --mode target --op new --targetname %[2]s
admin --mode logicalunit --op new --lun 1 --backing-store %[3]s
admin --mode logicalunit --op update --lun 1 --params vendor_id=LAB,product_id=LUN,scsi_sn=lab-%[4]s
admin --mode target --op bind --initiator-address ALL
`, i+1, n.Target(lun.Name), machine.Quote(n.folder+"/luns/"+lun.Name), lun.Name)
	}
	return script.String()
}

// sambaConfig keeps every file of smbd in the lab's folder.
func (n *NAS) sambaConfig(log string) string {
	var config strings.Builder
	users, strangers := "valid users = "+n.Username(), "never"
	if n.guests {
		users, strangers = "guest ok = yes", "bad user"
	}
	_, _ = strings.NewReplacer("FOLDER", n.folder, "LOG", log, "LEAST", n.protocols[0], "MOST", n.protocols[1], "STRANGERS", strangers).WriteString(&config, `[global]
server role = standalone server
workgroup = LAB
netbios name = NAS
disable netbios = yes
smb ports = 445
server min protocol = LEAST
server max protocol = MOST
map to guest = STRANGERS
passdb backend = tdbsam
private dir = FOLDER/samba/private
lock directory = FOLDER/samba/lock
state directory = FOLDER/samba/state
cache directory = FOLDER/samba/cache
pid directory = FOLDER/samba/pid
ncalrpc dir = FOLDER/samba/ncalrpc
log file = LOG
log level = 1
load printers = no
printing = bsd
printcap name = /dev/null
disable spoolss = yes
`)
	for _, share := range n.Shares() {
		fmt.Fprintf(&config, "[%s]\npath = %s\nread only = no\n%s\nforce user = root\n", share, n.Share(share), users)
	}
	return config.String()
}
