# SPDX-License-Identifier: BSD-2-Clause
# The program `stream` with one vif, whose backend comes and goes under running streams.
. ./lib.sh
MAC=00:16:3e:00:00:01
DOMID=$(xl domid "$DOM")
BACK=/local/domain/0/backend/vif/$DOMID/0
ip addr add 10.9.0.1/24 dev xenbr0
await says "$DOM" serving

lives() {
    tr -d '\r' <"$(console_of "$DOM")" | grep -c 'vif0: .*, mtu '
}

# A stream that lasts for a while, both ways in turn; its first megabyte has arrived.
start_stream() {
    carried=/sys/class/net/vif$DOMID.0/statistics/tx_bytes
    before=$(cat "$carried")
    ./peer stream "$IP" 5001 "${1:-60000000}" 1 &
    stream=$!
    while [ $(($(cat "$carried") - before)) -lt 1000000 ]; do
        kill -0 $stream
        usleep 5000
    done
}

lives_again() {
    [ "$(lives)" -gt "$1" ]
}

# It is whole, and the vif lives again. Whoever cuts it sees to it that it was under way then: it may
# have come to its end before the last cut of several.
end_stream() {
    wait $stream
    await lives_again "$1"
}

attach() {
    xl network-attach "$DOM" "mac=$MAC" bridge=xenbr0 "ip=$IP"
}

is_connected() {
    [ "$(xenstore-read "$BACK/state")" = 4 ] &&
        [ "$(xenstore-read "/local/domain/$DOMID/device/vif/0/state")" = 4 ]
}

test_stream_survives_unplugging() {
    was=$(lives)
    start_stream
    xl network-detach "$DOM" 0
    kill -0 $stream
    await says "$DOM" 'vif0: link down'
    attach
    end_stream "$was"
}

test_stream_survives_unplugging_again_and_again() {
    start_stream
    for i in 1 2 3; do
        was=$(lives)
        xl network-detach "$DOM" 0
        [ $i -gt 1 ] || kill -0 $stream
        attach
    done
    end_stream "$was"
}

test_stream_survives_states_written_by_hand() {
    was=$(lives)
    start_stream 200000000 # longer than the seconds below
    for state in 5 6 2; do
        xenstore-write "$BACK/state" $state
        kill -0 $stream
        sleep 1
    done
    end_stream "$was"
    await is_connected
}

test_stream_survives_states_written_at_once() {
    for i in 1 2; do
        was=$(lives)
        start_stream 20000000
        xenstore-write "$BACK/state" 5 "$BACK/state" 6 "$BACK/state" 2
        kill -0 $stream
        end_stream "$was"
        await is_connected
    done
}

test_recovers_from_states_within_30_seconds() {
    was=$(lives)
    xenstore-write "$BACK/state" 5
    xenstore-write "$BACK/state" 6
    sleep 2
    xenstore-write "$BACK/state" 2
    tries=0
    until ping -c 1 -W 1 "$IP" >/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 30 ]
    done
    [ "$(lives)" -gt "$was" ]
}

# netback leaves dom0's kernel and comes back, with the vifs that it finds then; the rest is the hotplug script's part.
test_stream_survives_a_backend_that_is_unloaded_and_loaded() {
    start_stream
    echo "vif-$DOMID-0" >/sys/bus/xen-backend/drivers/vif/unbind # it stays while there are vifs
    kill -0 $stream
    await rmmod xen_netback
    sleep 1
    insmod /usr/lib/modules/xen_netback.ko
    await ip link set "vif$DOMID.0" up master xenbr0
    xenstore-write "$BACK/hotplug-status" connected
    wait $stream
    await is_connected
}

test_another_address_is_told_to_the_neighbours() {
    ping -c 1 -W 5 "$IP"
    xl network-detach "$DOM" 0
    MAC=00:16:3e:00:00:77 attach
    await ping -c 1 -W 1 "$IP"
    ip neigh show "$IP" | grep -q 00:16:3e:00:00:77
}

# A gratuitous ARP, and an unsolicited neighbour advertisement to all.
test_neighbours_are_told_that_the_link_is_back() {
    xl network-detach "$DOM" 0
    timeout $LIMIT tcpdump -Z root -i xenbr0 -c 1 -nn 'arp[14:4] = arp[24:4]' &
    arp=$!
    timeout $LIMIT tcpdump -Z root -i xenbr0 -c 1 -nn 'ip6[40] = 136 and ip6[44] = 0x20 and dst ff02::1' &
    advertisement=$!
    sleep 1
    attach
    wait $arp
    wait $advertisement
}

test_vif_plugged_in_at_run_time() {
    xl network-attach "$DOM" bridge=xenbr0 ip=10.9.0.10
    await says "$DOM" 'vif1: 10.9.0.10 (static)'
    ./peer stream 10.9.0.10 5001 4000000 4
    xl network-detach "$DOM" 1
    await says "$DOM" 'vif1: link down'
    ./peer stream "$IP" 5001 4000000 4
}

test_no_connection_broke() {
    never_says "$DOM" 'a connection broke'
    never_says "$DOM" panic
}

run_checks
