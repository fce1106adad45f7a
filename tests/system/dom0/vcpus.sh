# SPDX-License-Identifier: BSD-2-Clause
# httpd on four vCPUs: they come and go by the toolstack's word while files are fetched.
. ./lib.sh

ID=$(xl domid "$DOM")

# set_vcpus N: ask for them, however few processors this machine has
set_vcpus() {
    xl vcpu-set --ignore-host "$DOM" "$1"
}

status_says() {
    curl -sf -m 30 "http://$IP/-/status.json" | tr -d ' ' | grep -q "\"vcpus\":$1,"
}

# paused N: so many are down, as Xen sees it
paused() {
    [ "$(xl vcpu-list "$DOM" | grep -c ' --p ')" = "$1" ]
}

test_four_run() {
    grep -q ' 4 CPUs' "$CONSOLE"
    status_says 4
    paused 0
}

test_fewer_and_more() {
    for n in 1 3 2 4; do
        set_vcpus $n
        await status_says $n
        await paused $((4 - n))
    done
}

test_nonsense_is_ignored() {
    xenstore-write "/local/domain/$ID/cpu/2/availability" rubbish
    await grep -q 'cpu/2/availability is neither' "$CONSOLE"
    status_says 4
    xenstore-write "/local/domain/$ID/cpu/2/availability" online
}

test_the_first_cannot_be_taken_away() {
    xenstore-write "/local/domain/$ID/cpu/0/availability" offline
    await grep -q 'CPU 0 always runs' "$CONSOLE"
    status_says 4
    xenstore-write "/local/domain/$ID/cpu/0/availability" online
}

fetch_all() {
    for i in 1 2 3 4 5 6 7 8; do
        curl -sf -m 300 "http://$IP/big" | sha256sum
    done
}

test_files_arrive_whole_while_vcpus_come_and_go() {
    for n in 1 2 3; do
        fetch_all >"sums.$n" &
    done
    for i in 1 2 3 4 5 6 7 8 9 10; do
        for n in 1 4 2 3; do
            set_vcpus $n
        done
        await status_says 3
    done
    set_vcpus 4
    wait
    await status_says 4
    want=$(sha256sum <big)
    [ "$(cat sums.1 sums.2 sums.3 | grep -cx "$want")" = 24 ]
    ! grep -E 'does not (start|stop)' "$CONSOLE"
}

run_checks
