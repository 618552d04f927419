#!/usr/bin/env bash
# The first process of a throwaway host: it makes the host's root, says "ready", and ends when its input does.
# It runs in namespaces of its own (mount, network, PID, UTS, IPC). As bash it also reaps orphans, as an init should.
#
#   host.sh FOLDER HOSTNAME
set -euo pipefail
folder=$1 name=$2 root=$1/scratch/root

mount --make-rprivate /
mkdir -p "$folder"/{scratch,docker,state}
mount -t tmpfs -o mode=0755 scratch "$folder/scratch"
mkdir "$folder"/scratch/{upper,work,root}
mount -t overlay -o "lowerdir=/,upperdir=$folder/scratch/upper,workdir=$folder/scratch/work" root "$root"

mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=0755 run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mkdir -p "$root$folder" "$root/var/lib/homelab-storage"
rm -rf "$root/etc/homelab-storage" "$root/etc/docker"
mount --bind "$folder" "$root$folder"
mount --bind "$folder/state" "$root/var/lib/homelab-storage"

mkdir -p "$root/.machine"
cd "$root"
pivot_root . .machine
umount --lazy /.machine
rmdir /.machine
mount --make-rshared / # as systemd leaves it on a real host

hostname "$name"
ip link set lo up
echo ready
while read -r _; do :; done
