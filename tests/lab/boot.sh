# Process 1 of a node: builds the node's root file system, goes into it, and becomes tini.
# $1 name, $2 the engine's root, $3 the node's directory.
read -r registered || exit 1
set -eu
name=$1 engine=$2 dir=$3 root=$3/root

hostname "$name"
mount --make-rprivate /
mount --bind "$root" "$root"

# What the node writes to /usr and /etc stays in the node; everything else starts out empty.
for top in usr etc; do
    mount -t overlay -o "lowerdir=$engine/$top,upperdir=$dir/$top.upper,workdir=$dir/$top.work" overlay "$root/$top"
done

mount -t proc proc "$root/proc"
# A sysfs mounted in this network namespace shows the node's own interfaces.
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir "$root/run/lock" "$root/run/lab" "$root/run/old"

# The host's /dev would make /dev/log and /dev/shm common to all nodes.
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
cd "$root/dev"
mkdir pts shm mqueue net
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts pts
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs shm
mount -t mqueue mqueue mqueue
mknod -m 666 null c 1 3
mknod -m 666 zero c 1 5
mknod -m 666 full c 1 7
mknod -m 666 random c 1 8
mknod -m 666 urandom c 1 9
mknod -m 666 tty c 5 0
mknod -m 600 kmsg c 1 11
mknod -m 600 net/tun c 10 200
ln -s pts/ptmx ptmx
ln -s /proc/self/fd fd
ln -s /proc/self/fd/0 stdin
ln -s /proc/self/fd/1 stdout
ln -s /proc/self/fd/2 stderr

cd "$root"
pivot_root . run/old
cd /
umount -l /run/old
rmdir /run/old
# As systemd leaves it: bind mounts with shared propagation work in containers.
mount --make-rshared /
# It puts itself into the background once /dev/log is there.
rsyslogd -i /run/rsyslogd.pid

echo ready
exec tini -- sleep infinity </dev/null >/dev/null 2>&1
