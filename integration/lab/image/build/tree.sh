#!/bin/sh
# tree.sh DIR SUITE PACKAGES: unpack a Debian system into DIR/root and its kernel into DIR/kernel.
# The only step of the lab that needs a network. The kernel is unpacked, not installed: a node
# boots it from the host and keeps only the modules that image.sh picks.
set -eu
dir=$1 suite=$2 packages=$3

# mmdebstrap runs it with the new system's folder as $1.
# shellcheck disable=SC2016
fetch_kernel='set -eu
kernel=$(chroot "$1" apt-cache depends linux-image-amd64 | sed -n "s/^ *Depends: \(linux-image-[^ ]*\)$/\1/p" | head -n 1)
chroot "$1" sh -c "cd /tmp && apt-get -q download $kernel"
dpkg-deb --extract "$1"/tmp/linux-image-*.deb "$LAB_KERNEL"
rm -f "$1"/tmp/linux-image-*.deb'

mkdir -p "$dir/kernel"
LAB_KERNEL=$dir/kernel mmdebstrap --mode=root --variant=minbase --quiet \
	--aptopt='APT::Install-Recommends "false"' \
	--dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/doc/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	--include="$packages" \
	--customize-hook="$fetch_kernel" \
	"$suite" "$dir/root"

for modules in "$dir"/kernel/lib/modules/*; do
	depmod -b "$dir/kernel" "${modules##*/}"
done
