# SPDX-License-Identifier: BSD-2-Clause
# The program `stream` with a vif of mtu=9000: frames far larger than 1500 bytes both ways. Its hotplug
# script gives dom0's end the same mtu; the bridge gets it here.
. ./lib.sh
DOMID=$(xl domid "$DOM")
ip link set xenbr0 mtu 9000
await says "$DOM" serving

test_mtu_is_that_of_the_vif_line() {
    says "$DOM" 'vif0: .*, mtu 9000'
    [ "$(cat "/sys/class/net/vif$DOMID.0/mtu")" = 9000 ]
}

# frames N FILTER COMMAND...: so many that the filter describes are seen while the command runs
frames() {
    n=$1 filter=$2
    shift 2
    timeout $LIMIT tcpdump -Z root -i "vif$DOMID.0" -c "$n" -nn "$filter" 2>seen &
    dump=$!
    await grep -q listening seen
    "$@"
    wait $dump
}

# ping looks at each byte that comes back, and forbids fragments.
test_answers_ping_in_whole_frames() {
    frames 2 'icmp and greater 9014' ping -M do -c 3 -i 0.2 -s 8972 "$IP" >answers
    grep '3 received' answers
    ! grep -i wrong answers
}

test_answers_ping_in_whole_frames_of_ip6() {
    frames 2 'icmp6 and greater 9014' ping -M do -c 3 -i 0.2 -s 8952 fd00:8::10 >answers
    grep '3 received' answers
    ! grep -i wrong answers
}

# Those that say how large segments may be are of both sides.
test_connections_have_large_segments() {
    timeout $LIMIT tcpdump -Z root -i "vif$DOMID.0" -c 2 -nn 'tcp port 5001 and tcp[tcpflags] & tcp-syn != 0' >syns 2>seen &
    dump=$!
    await grep -q listening seen
    ./peer stream "$IP" 5001 2000000 1
    wait $dump
    [ "$(grep -c 'mss 8960' syns)" = 2 ]
}

test_streams_both_ways() {
    ./peer stream "$IP" 5001 50000000 4
    ./peer stream fd00:8::10 5001 50000000 4
}

# Nobody cuts: each frame is one of the mtu, and on its own in the ring.
test_streams_in_frames_of_the_mtu() {
    ethtool -K "vif$DOMID.0" tso off gso off gro off
    ethtool -K xenbr0 tso off gso off
    frames 20 "tcp and dst host $IP and greater 9000 and less 9014" ./peer stream "$IP" 5001 8000000 2
    ./peer stream fd00:8::10 5001 8000000 2
}

test_no_connection_broke() {
    never_says "$DOM" 'a connection broke'
    never_says "$DOM" panic
}

run_checks
