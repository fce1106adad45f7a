# SPDX-License-Identifier: BSD-2-Clause
# The program `stream`, with three vifs in three networks, all on the one bridge.
. ./lib.sh
ip addr add 10.9.0.1/24 dev xenbr0
ip addr add 10.10.0.1/24 dev xenbr0
ip -6 addr add fd00:9::1/64 dev xenbr0 nodad
await says "$DOM" serving

test_one_gib_both_ways() {
    ./peer stream "$IP" 5001 $((1 << 30)) 1
}

test_streams_in_parallel() {
    ./peer stream "$IP" 5001 2000000 48
}

test_stream_of_an_odd_length() {
    ./peer stream "$IP" 5001 1234568 1
}

test_second_vif() {
    ./peer stream 10.9.0.10 5001 8000000 4
}

test_third_vif() {
    ./peer stream 10.10.0.10 5001 8000000 4
}

test_ip6_on_the_second_vif() {
    ./peer stream fd00:9::10 5001 8000000 4
}

test_all_vifs_at_once() {
    ./peer stream "$IP" 5001 4000000 4 >one &
    ./peer stream 10.9.0.10 5001 4000000 4 >two &
    ./peer stream 10.10.0.10 5001 4000000 4 >three
    wait
    cat one two three
    [ "$(cat one two three | grep -c '^4 of 4 ')" = 3 ]
}

vif() {
    echo "vif$(xl domid "$DOM").$1"
}

# Nobody tells the guest: its frames are not taken for a while, and TCP goes on afterwards.
test_stream_over_a_vif_that_is_down_for_a_while() {
    carries=$(vif 0)
    trap 'ip link set "$carries" up' EXIT # the other checks need it
    sent=/sys/class/net/$carries/statistics/tx_bytes
    before=$(cat "$sent")
    ./peer stream "$IP" 5001 60000000 1 &
    while [ $(($(cat "$sent") - before)) -lt 1000000 ]; do
        kill -0 $!
        usleep 5000
    done
    ip link set "$carries" down
    sleep 1
    kill -0 $! # it did not end before
    ip link set "$carries" up
    wait $!
}

test_answers_ping() {
    ping -c 3 -i 0.2 "$IP"
    ping -c 3 -i 0.2 -s 1400 10.9.0.10
    ping -c 3 -i 0.2 fd00:9::10
}

test_detached_vif_takes_no_other_with_it() {
    xl network-detach "$DOM" 2
    await says "$DOM" 'vif2: link down'
    ./peer stream "$IP" 5001 4000000 4
    ./peer stream 10.9.0.10 5001 4000000 4
}

test_no_connection_broke() {
    never_says "$DOM" 'a connection broke'
    never_says "$DOM" panic
}

run_checks
