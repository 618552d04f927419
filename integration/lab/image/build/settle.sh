#!/bin/bash
# settle.sh IMAGE: runs once in a guest booted from the new disk. Gives Docker its first start,
# imports the stand-in image, and powers off with a clean file system.
set -eu
containerd >/dev/null 2>&1 &
runtime=$!
until [ -S /run/containerd/containerd.sock ]; do
	kill -0 $runtime
	sleep 0.2
done
dockerd >/tmp/dockerd.log 2>&1 &
daemon=$!
until docker version >/dev/null 2>&1; do
	kill -0 $daemon || {
		cat /tmp/dockerd.log
		exit 1
	}
	sleep 1
done

root=/tmp/standin
mkdir -p $root/bin $root/config $root/data $root/etc $root/tmp $root/usr/bin
cp /bin/busybox $root/bin/
chroot $root /bin/busybox --install -s /bin
cp /usr/bin/sqlite3 $root/usr/bin/
ldd /usr/bin/sqlite3 | grep -o '/[^ ]*' | while read -r library; do
	mkdir -p "$root${library%/*}"
	cp -L "$library" "$root$library"
done
echo 'media:x:1000:1000::/config:/bin/sh' >$root/etc/passwd
chown 1000:1000 $root/config $root/data
chmod 1777 $root/tmp
tar -C $root -c . | docker import \
	--change 'CMD ["sh", "-c", "trap exit TERM; sleep 2147483647 & wait"]' \
	--change 'ENV PATH=/usr/bin:/bin' - "$1"
docker run --rm --network none "$1" sqlite3 :memory: 'select 1'

kill $daemon
wait $daemon
kill $runtime
wait $runtime || true
# Each node makes its own identity.
rm -rf /etc/docker/key.json /var/lib/docker/engine-id /var/lib/systemd/random-seed $root
sync
echo u >/proc/sysrq-trigger
(sleep 0.5 && busybox poweroff -f) >/dev/null 2>&1 &
