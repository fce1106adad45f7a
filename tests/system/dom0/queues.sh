# SPDX-License-Identifier: BSD-2-Clause
# The program `stream` on two vCPUs with memory for two queues. netback offers as many as dom0 has CPUs.
. ./lib.sh
DOMID=$(xl domid "$DOM")
BACK=/local/domain/0/backend/vif/$DOMID/0
FRONT=/local/domain/$DOMID/device/vif/0
await says "$DOM" serving

# events NAME: how often dom0's interrupt of that name came
events() {
    awk -v name="$1" '$NF == name { for (i = 2; i <= NF && $i ~ /^[0-9]+$/; i++) sum += $i } END { print sum + 0 }' /proc/interrupts
}

test_has_a_queue_for_each_cpu() {
    [ "$(xenstore-read "$BACK/multi-queue-max-queues")" = 2 ]
    [ "$(xenstore-read "$FRONT/multi-queue-num-queues")" = 2 ]
    xenstore-read "$FRONT/queue-1/event-channel-tx"
    says "$DOM" '2 \* '
}

test_streams_go_through_both_queues() {
    first=$(events "vif$DOMID.0-q0-tx") second=$(events "vif$DOMID.0-q1-tx")
    ./peer stream "$IP" 5001 4000000 24
    [ "$(events "vif$DOMID.0-q0-tx")" -gt "$first" ]
    [ "$(events "vif$DOMID.0-q1-tx")" -gt "$second" ]
}

test_streams_survive_a_new_life() {
    ./peer stream "$IP" 5001 8000000 8 &
    sleep 0.5
    kill -0 $!
    xenstore-write "$BACK/state" 5 "$BACK/state" 6 "$BACK/state" 2
    wait $!
    says "$DOM" 'link down'
}

test_no_connection_broke() {
    never_says "$DOM" 'a connection broke'
    never_says "$DOM" panic
}

run_checks
