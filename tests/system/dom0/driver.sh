# SPDX-License-Identifier: BSD-2-Clause
# The lab's domain is a driver domain (lab/driver): netback and blkback under `xl devd`, which serve
# other domains with a bridge to its own vif and with its own two disks. It is destroyed while they are
# busy and started again, under another domain id; then the toolstack gives their devices to that one.
. ./lib.sh
LIMIT=900 # a Linux boots more than once
MAC=00:16:3e:00:02:01
ADDRESS=10.8.0.20

# Its disk (name), as another domain's.
disk() {
    echo "format=raw,vdev=xvda,access=w,backend=$DOM,target=/dev/$1"
}

starts() {
    grep -c DRIVER-READY "$CONSOLE"
}

is_started() {
    [ "$(starts)" -gt "$1" ]
}

await is_started 0

start_driver() {
    was=$(starts)
    xl create -q /job/domain.cfg
    await is_started "$was"
    [ "$(xl domid "$DOM")" != "$old" ]
}

# Nothing of it is left but what the frontends hold.
kill_driver() {
    old=$(xl domid "$DOM")
    xl destroy "$DOM"
}

move_disk() {
    xl block-detach "$1" 51712
    xl block-attach "$1" "$(disk "$2")"
}

test_stream_and_disk_outlive_their_driver_domain() {
    create net stream memory=32 "vif=['mac=$MAC,bridge=xenbr0,ip=$ADDRESS,backend=$DOM']"
    create blk blkverify memory=64 "disk=['$(disk xvda)']" \
        "cmdline='until 51712 paravane.disk-timeout=3600'"
    await says net serving
    await says blk 'xvda: '
    carried=/sys/class/net/vif$(xl domid "$DOM").0/statistics/tx_bytes
    before=$(cat "$carried")
    ./peer stream "$ADDRESS" 5001 40000000 1 &
    stream=$!
    while [ $(($(cat "$carried") - before)) -lt 1000000 ]; do
        kill -0 $stream
        usleep 5000
    done
    kill_driver
    kill -0 $stream
    await says net 'vif0: link down'
    await says blk 'xvda: the backend has left'
    start_driver
    xl network-detach net 0
    xl network-attach net "mac=$MAC" bridge=xenbr0 "ip=$ADDRESS" "backend=$DOM"
    move_disk blk xvda
    await says blk 'xvda again: '
    sleep 1
    xenstore-write "/local/domain/$(xl domid blk)/data/stop" 1
    exits blk 0
    tr -d '\r' <"$(console_of blk)" | grep 'reconnects 1, '
    sum=$(tr -d '\r' <"$(console_of blk)" | sed -n 's/.*versions \([0-9a-f]*\)$/\1/p')
    found=$(./peer disk /dev/lab0)
    [ "$found" = "6144 blocks, 0 wrong, versions $sum" ] || die "$found, not $sum"
    wait $stream
    never_says net 'a connection broke'
}

# One number of the victim's own books.
has() {
    ./hostile vitals "$(xl domid victim)" | tr ' ' '\n' | sed -n "/^$1$/{n;p;}"
}

has_more() {
    [ "$(has "$1")" -gt "$2" ]
}

test_disk_fails_in_time_and_is_well_again() {
    create victim victim memory=32 "disk=['$(disk xvdb)']" \
        "cmdline='51712 paravane.disk-timeout=5'"
    await xenstore-read "/local/domain/$(xl domid victim)/data/vitals"
    await has_more good 1
    bad=$(has bad)
    kill_driver
    await has_more bad "$bad"
    start_driver
    move_disk victim xvdb
    await has_more good "$(($(has good) + 1))"
    xenstore-write "/local/domain/$(xl domid victim)/data/stop" 1
    exits victim 0
    says victim 'last round good'
}

run_checks
