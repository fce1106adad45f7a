# SPDX-License-Identifier: BSD-2-Clause
# Two programs `talk` on one bridge: what the second one says to a group reaches the first one's vif, and
# the guest only if it is a member. (dom0's own frames are no measure: netback lets all of them through.)
. ./lib.sh
DOMID=$(xl domid "$DOM")
BACK=/local/domain/0/backend/vif/$DOMID/0
FRONT=/local/domain/$DOMID/device/vif/0

type_in() {
    echo "$2" >"$(xenstore-read "/local/domain/$(xl domid "$1")/console/tty")"
}

# count NAME: of the frames to the guest
count() {
    cat "/sys/class/net/vif$DOMID.0/statistics/$1"
}

dropped_more_than() {
    [ "$(count tx_dropped)" -gt "$1" ]
}

sender() {
    create sender talk "vif=['mac=00:16:3e:00:00:99,bridge=xenbr0,ip=10.8.0.20/24 fd00:8::20']"
    await says sender listening
    type_in sender 'say 10.8.0.1 9 hello' # its network starts with the first socket
    await says sender 'said 50 times hello'
}

# The first word starts the guest's own network.
type_in "$DOM" 'say 10.8.0.1 9 hello'
await says "$DOM" 'said 50 times hello'

test_backend_is_asked_to_filter() {
    [ "$(xenstore-read "$BACK/feature-multicast-control")" = 1 ]
    [ "$(xenstore-read "$FRONT/request-multicast-control")" = 1 ]
}

# All fifty frames are dropped in netback. A few others may come meanwhile, but not so many.
test_group_of_others_does_not_reach_the_guest() {
    sender
    passed=$(count tx_packets) dropped=$(count tx_dropped)
    type_in sender 'say 239.1.2.4 7777 others'
    await says sender 'said 50 times others'
    await dropped_more_than $((dropped + 49))
    [ "$(count tx_packets)" -lt $((passed + 50)) ]
}

test_group_that_was_joined_reaches_the_guest() {
    sender
    passed=$(count tx_packets)
    type_in "$DOM" 'hear 239.1.2.3 7777'
    await says "$DOM" 'hearing 239.1.2.3'
    type_in sender 'say 239.1.2.3 7777 members'
    await says "$DOM" 'heard members;'
    [ "$(count tx_packets)" -gt "$passed" ]
}

test_group_that_was_left_does_not() {
    test_group_of_others_does_not_reach_the_guest
    dropped=$(count tx_dropped)
    type_in sender 'say 239.1.2.3 7777 members'
    await says sender 'said 50 times members'
    await dropped_more_than $((dropped + 49))
}

is_connected() {
    [ "$(xenstore-read "$BACK/state")" = 4 ] && [ "$(xenstore-read "$FRONT/state")" = 4 ]
}

test_membership_survives_a_new_life() {
    sender
    type_in "$DOM" 'hear 239.1.2.5 7777'
    await says "$DOM" 'hearing 239.1.2.5'
    xenstore-write "$BACK/state" 5 "$BACK/state" 6 "$BACK/state" 2
    await says "$DOM" 'vif0: link down'
    await is_connected
    while ! says "$DOM" 'heard again;'; do # the first ones may be early
        type_in sender 'say 239.1.2.5 7777 again'
        sleep 0.5
    done
}

# The neighbour is asked for by a group of its own.
test_neighbours_of_ip6_are_found() {
    sender
    type_in "$DOM" 'hear :: 7778'
    await says "$DOM" 'hearing ::'
    type_in sender 'say fd00:8::10 7778 neighbour'
    await says "$DOM" 'heard neighbour;'
}

test_guest_is_well() {
    ping -c 1 -W 5 "$IP"
    never_says "$DOM" 'all multicast comes in'
    never_says "$DOM" panic
}

run_checks
