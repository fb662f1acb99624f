# Process 1 of the guest: what a kernel needs before it can bear a lab, then the payload's script, then the end.
# What the script writes to its output goes to the second serial line, and everything else to the first.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root
# Emulated, and on a machine that is busy, everything takes this many times as long.
export SWARM_LAB_SLOWNESS=10 SWARM_LAB_CACHE=/payload/cache
mkdir -p /proc /sys /dev /run /tmp /root /mnt /var/tmp /var/log
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mountpoint -q /dev || mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
hostname guest
ip link set lo up
# No program answers there, and the refusal is immediate: an engine looks a name up before it takes the image that it has.
echo 'nameserver 127.0.0.1' >/etc/resolv.conf
depmod
case " $(cat /proc/cmdline) " in
*' without=ip_vs '*)
    # As where the package with the rarer modules is not installed.
    rm -rf "/lib/modules/$(uname -r)/kernel/net/netfilter/ipvs"
    depmod
    ;;
esac
# A server's nftables and bridges are there long before its engine. IPVS is left to the engine.
for module in overlay bridge br_netfilter veth vxlan nf_tables nft_compat nft_chain_nat; do modprobe "$module"; done
# On a server the engine does this, and in the first network namespace; each new one, the balancers' too, takes it over.
echo 1 >/proc/sys/net/ipv4/ip_forward
stty -F /dev/ttyS1 raw -echo
sh -eu /payload/run >/dev/ttyS1
echo "end $?" >/dev/ttyS1
sync
echo o >/proc/sysrq-trigger
sleep 60
