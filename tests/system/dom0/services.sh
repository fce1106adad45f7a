# SPDX-License-Identifier: BSD-2-Clause
# The program `netserver` in 8 MiB: datagrams, and crowds that are not served.
. ./lib.sh
await says "$DOM" serving

counters() {
    nc "$IP" 13 </dev/null
}

# counter NAME LINE
counter() {
    echo "$2" | sed "s/.*$1 \([0-9]*\).*/\1/"
}

test_datagrams_come_back() {
    ./peer udp "$IP" 7 500 512 1
    ./peer udp "$IP" 7 200 1472 1
}

test_datagrams_come_back_over_ip6() {
    ./peer udp fd00:8::10 7 200 1400 1 | tee six
    grep -q ' 200 echoed, 0 lost' six
}

test_large_datagrams_in_fragments() {
    ./peer udp "$IP" 7 100 8000 1
}

# More at a time than there is memory for: what is lost is lost whole and counted as lost.
test_floods_of_datagrams_lose_nothing_else() {
    ./peer udp "$IP" 7 5000 1024 400
    ./peer udp "$IP" 7 200 64 1 | tee after
    grep -q ' 200 echoed, 0 lost' after
}

test_512_connections_that_are_never_read() {
    ./peer trickle "$IP" 11 512 200 >trickled 2>&1 &
    trickler=$!
    await grep -q 'connections stood' trickled
    cat trickled
    grep -q '^512 of 512 connections stood' trickled
    # Others are served meanwhile; a datagram may find no memory.
    ./peer udp "$IP" 7 200 512 1 | tee meanwhile
    echoed=$(sed 's/.* sent, \([0-9]*\) echoed.*/\1/' meanwhile)
    [ "$echoed" -ge 100 ]
    printf 'still here\n' | nc -N "$IP" 7 | grep -qx 'still here'
    ping -c 2 -i 0.2 "$IP"
    await counters
    counters
    kill $trickler
}

test_memory_comes_back_afterwards() {
    line=$(counters)
    [ "$line" ]
    used=$(counter used "$line")
    peak=$(counter peak "$line")
    limit=$(counter limit "$line")
    [ "$used" -lt "$peak" ]
    [ "$peak" -le "$limit" ]
    printf 'hello\n' | nc -N "$IP" 7 | grep -qx hello
}

test_still_alive() {
    never_says "$DOM" panic
    [ "$(state_of "$DOM" | tr -d 'rb-')" = "" ]
}

run_checks
