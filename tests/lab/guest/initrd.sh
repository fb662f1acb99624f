#!/bin/sh
# Process 1 of the guest until its root file system is there: the kernel has the drivers of its disks as modules.
mount -t proc proc /proc
mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module"; done </modules/order
tries=0
until [ -b /dev/vda ] && [ -b /dev/vdb ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || poweroff -f
    sleep 0.1
done
mount -t ext4 /dev/vda /root
mkdir -p /root/payload
tar -x -f /dev/vdb -C /root/payload
exec switch_root /root /usr/bin/sh /payload/init
