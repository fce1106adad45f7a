# SPDX-License-Identifier: BSD-2-Clause
# On a user's host, given the kernel of a Linux guest: both are measured, one after the other, with the same
# vif, disk and peer.
. ./lib.sh
./measure-peer echo &
echo=$!
xl destroy "$DOM"
dd if=/dev/zero of=/dev/shm/disk.img bs=1M count=16 2>/dev/null
# Not on the shared directory: a guest's kernel is read from there slowly.
mkdir host && tar -xzf pvbench.tar.gz -C host

test_both_guests_are_measured() {
    VCPUS=1 MEMORY=256 BRIDGE=xenbr0 IP=10.8.0.30 PEER=10.8.0.1 DISK=/dev/shm/disk.img \
        KERNEL="$PWD/vmlinux" RAMDISK="$PWD/domu.cpio" \
        host/pvbench/on-xen-host hypercall.null floor.loop blk.read.4k.d1 net.udp.rtt.64 --seconds 0.05
    cp host/pvbench/pvbench.log host/pvbench/linux.log "$shared"
    [ "$(xl list | wc -l)" = 2 ] # Domain-0 alone
}

run_checks
kill $echo
