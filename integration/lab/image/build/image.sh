#!/bin/sh
# image.sh TREE OUT AGENT GUEST: make OUT/root.ext4, OUT/initramfs and OUT/bzImage from the system
# and kernel in TREE (see tree.sh), the agent and the files of the folder GUEST. Needs no network.
set -eu
tree=$1 out=$2 agent=$3 guest=$4
kernel=$tree/kernel
version=$(ls "$kernel/lib/modules")
root=$out/root

# Hard links: the tree stays as it is as long as files are replaced, not written into.
cp -al "$tree/root" "$root"
replace() { # replace FILE: read a new FILE of the image from standard input
	mkdir -p "$root/${1%/*}"
	rm -f "$root/$1"
	cat >"$root/$1"
}

# Only the modules a node can use; no graphics, sound or wireless.
modules=$root/lib/modules/$version
mkdir -p "$modules/kernel/drivers/net" "$modules/kernel/drivers/char"
for part in fs net crypto lib arch mm block security; do
	[ ! -d "$kernel/lib/modules/$version/kernel/$part" ] ||
		cp -al "$kernel/lib/modules/$version/kernel/$part" "$modules/kernel/"
done
drivers=$kernel/lib/modules/$version/kernel/drivers
for part in virtio block scsi target md watchdog; do
	cp -al "$drivers/$part" "$modules/kernel/drivers/"
done
for part in virtio_net veth vxlan dummy macvlan ipvlan tun bonding net_failover; do
	for path in "$drivers/net/$part" "$drivers/net/$part".ko*; do
		[ ! -e "$path" ] || cp -al "$path" "$modules/kernel/drivers/net/"
	done
done
cp -al "$drivers/char/virtio_console.ko"* "$drivers/char/hw_random" "$modules/kernel/drivers/char/"
cp "$kernel/lib/modules/$version"/modules.builtin* "$kernel/lib/modules/$version/modules.order" "$modules/"
depmod -b "$root" "$version"
cp "$kernel/boot/vmlinuz-$version" "$out/bzImage"

# The lab's own files.
mkdir -p "$root/lab"
cp "$agent" "$root/lab/agent"
cp "$guest/setup" "$guest/init" "$root/lab/"
chmod 0755 "$root/lab/agent" "$root/lab/setup" "$root/lab/init"
units=$root/etc/systemd/system
mkdir -p "$units/sysinit.target.wants"
cp "$guest"/*.service "$units/"
for unit in "$guest"/*.service; do
	ln -s "../${unit##*/}" "$units/sysinit.target.wants/"
done
# Nothing that would wake up in the middle of a measurement, no console login.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
	e2scrub_reap.service fstrim.timer serial-getty@ttyS0.service getty@tty1.service; do
	ln -sf /dev/null "$units/$unit"
done
# A name server that refuses at once: Docker does not wait for one that never answers.
echo 'nameserver 127.0.0.1' | replace etc/resolv.conf
# Any ID makes this no first boot; the kernel command line gives each node its own.
echo 00000000000000000000000000000001 | replace etc/machine-id
# Nodes publish no ports, and dockerd's calls of iptables are half of its start under emulation. The registry is the lab's.
echo '{"storage-driver": "overlay2", "iptables": false, "insecure-registries": ["10.77.0.1:5000"]}' | replace etc/docker/daemon.json
# What only Kubernetes needs is a third of containerd's start.
echo 'version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri"]' | replace etc/containerd/config.toml
rm -rf "$root/var/lib/apt/lists" "$root/var/cache/apt"

size=${LAB_DISK_SIZE:-4G}
mke2fs -q -t ext4 -L lab-root -d "$root" "$out/root.ext4" "$size"
rm -rf "$root"

# The initramfs: busybox and the modules between the kernel and the root disk.
initramfs=$out/initramfs.d
mkdir -p "$initramfs/bin" "$initramfs/lib" "$initramfs/proc" "$initramfs/dev" "$initramfs/root"
cp "$tree/root/bin/busybox" "$initramfs/bin/"
cp "$guest/initramfs" "$initramfs/init"
chmod 0755 "$initramfs/init"
for module in crc32c_generic crc32c-intel virtio_pci virtio_blk virtio_net ext4; do
	modprobe -d "$kernel" -S "$version" --show-depends "$module"
done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r path; do
	name=${path##*/}
	case $name in
	*.xz) name=${name%.xz} && xz -dc "$path" >"$initramfs/lib/$name" ;;
	*) cp "$path" "$initramfs/lib/" ;;
	esac
	echo "$name" >>"$initramfs/modules"
done
(cd "$initramfs" && find . | cpio --quiet -o -H newc >"$out/initramfs")
rm -rf "$initramfs"
