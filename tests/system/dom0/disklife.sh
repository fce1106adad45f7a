# SPDX-License-Identifier: BSD-2-Clause
# Disks whose backend leaves and comes back while every block is written and read: the domain's own
# check (blkverify) and that of the file afterwards agree that nothing was lost or done twice.
. ./lib.sh

# begin NAME LINE...: blkverify on the file NAME.disk, until judge
begin() {
    truncate -s 24M "$1.disk"
    loop=$(losetup --find --show "$1.disk")
    disk=$1
    shift
    create "$disk" blkverify memory=64 "disk=['phy:$loop,xvda,w']" \
        "cmdline='until 51712 paravane.disk-timeout=120'" "$@"
    home=/local/domain/$(xl domid "$disk")
    front=$home/device/vbd/51712
    await is_up
}

is_in() {
    [ "$(xenstore-read "$1/state")" = "$2" ]
}

is_up() {
    back=$(xenstore-read "$front/backend")
    is_in "$front" 4 && is_in "$back" 4
}

# The domain ended well after at least $1 lives, and the file holds what it says.
judge() {
    xenstore-write "$home/data/stop" 1
    exits "$disk" 0
    lives=$(tr -d '\r' <"$(console_of "$disk")" | sed -n 's/.*reconnects \([0-9]*\).*/\1/p')
    [ "$lives" -ge "$1" ] || die "only $lives reconnects"
    losetup -d "$loop"
    truncate -s 24M "$disk.disk" # what it was at first
    sum=$(tr -d '\r' <"$(console_of "$disk")" | sed -n 's/.*versions \([0-9a-f]*\)$/\1/p')
    [ "$(./peer disk "$disk.disk")" = "6144 blocks, 0 wrong, versions $sum" ] ||
        die "$(./peer disk "$disk.disk"), not $sum"
    rm "$disk.disk"
}

test_backend_states_written_by_hand() {
    begin hand
    for round in 1 2 3; do
        for state in 5 6 2; do
            xenstore-write "$back/state" $state
            sleep 0.3
        done
        await is_up
        sleep 1
    done
    judge 3
}

test_unplugged_and_plugged_in() {
    begin plug vcpus=2
    for round in 1 2 3; do
        xl block-detach plug 51712
        sleep 1
        xl block-attach plug "phy:$loop,xvda,w"
        await is_up
        sleep 1
    done
    judge 3
}

test_plugged_into_a_running_domain() {
    truncate -s 24M late.disk
    loop=$(losetup --find --show late.disk)
    disk=late
    create late blkverify memory=64 "cmdline='until 51712'"
    sleep 2
    xl block-attach late "phy:$loop,xvda,w"
    home=/local/domain/$(xl domid late)
    front=$home/device/vbd/51712
    await is_up
    sleep 1
    judge 0
}

lives_again() {
    [ "$(grep -c 'xvda again' "$(console_of "$disk")")" -ge "$1" ]
}

# blkback leaves dom0's kernel and comes back, with the disks that it finds then. It stays while there are disks, and
# gives up one a little after it was told to.
test_backend_driver_unloaded_and_loaded() {
    begin driver
    name=vbd-$(xl domid driver)-51712
    for round in 1 2; do
        echo "$name" >/sys/bus/xen-backend/drivers/vbd/unbind
        await rmmod xen_blkback
        sleep 1
        insmod /usr/lib/modules/xen_blkback.ko
        await lives_again $round
        await is_up
    done
    judge 2
}

test_disk_that_grows() {
    begin grow
    truncate -s 32M grow.disk
    losetup -c "$loop"
    await says grow 'xvda now: 32 MiB'
    judge 0
}

run_checks
