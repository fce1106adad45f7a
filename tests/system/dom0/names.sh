# SPDX-License-Identifier: BSD-2-Clause
# The program `talk` gets its addresses and name servers from the network: DHCP, DNS, a router.
# Nothing is asked of the network before the first name is looked up, when the servers are there.
. ./lib.sh
ip -6 addr add fd00:a::1/64 dev xenbr0 nodad
ip addr add 192.0.2.1/32 dev lo
ip -6 addr add 2001:db8::1/128 dev lo nodad

# serve LOG OPTION...: a dnsmasq that knows nothing but its options
serve() {
    log=$1
    shift
    dnsmasq --conf-file=/dev/null --user=root --pid-file= --no-resolv --no-hosts --bind-interfaces \
        --log-queries --log-facility="$PWD/$log" "$@"
    await grep -q started "$log"
}

# A name server that takes every question and never answers.
socat -u UDP4-RECV:5354,bind=127.0.0.1 /dev/null &
serve first --interface=xenbr0 --except-interface=lo --dhcp-authoritative --dhcp-leasefile="$PWD/leases" \
    --dhcp-range=10.8.0.100,10.8.0.150,255.255.255.0,2m --local=/test/ --server=/silent.test/127.0.0.1#5354 \
    --host-record=four.test,192.0.2.4 --host-record=both.test,192.0.2.6,2001:db8::6 \
    --host-record=six.test,2001:db8::66

type_in() {
    echo "$2" >"$(xenstore-read "/local/domain/$(xl domid "$1")/console/tty")"
}

# resolves NAME TEXT [DOMAIN]: that is what getaddrinfo says
resolves() {
    asked=${3:-$DOM}
    type_in "$asked" "name $1"
    await says "$asked" "^$1: .*;"
    says "$asked" "^$1: $2;" || die "$(tail -n 1 "$(console_of "$asked")")"
}

test_address_and_gateway_from_dhcp() {
    resolves four.test 192.0.2.4
    says "$DOM" 'vif0: 10.8.0.1[0-9][0-9] (DHCP), gateway 10.8.0.1'
    grep -q '00:16:3e:00:00:01 10.8.0.1[0-9][0-9] guest' leases
}

leased() {
    cut -d ' ' -f 3 leases
}

test_leased_address_answers_also_by_way_of_the_gateway() {
    ping -c 2 -i 0.2 "$(leased)"
    ping -c 2 -i 0.2 -I 192.0.2.1 "$(leased)"
}

test_server_of_the_lease_is_asked() {
    grep -q "query\[A\] four.test from $(leased)" first
}

test_name_without_an_address() {
    resolves none.test 'name or service not known'
}

test_name_with_only_an_ip6_address() {
    resolves six.test 2001:db8::66
}

test_a_silent_server_is_not_waited_for_for_ever() {
    resolves silent.test 'no name server answered'
}

test_router_brings_an_address_and_a_default_route() {
    serve second --interface=xenbr0 --port=0 --enable-ra --dhcp-range=fd00:a::,ra-only \
        '--dhcp-option=option6:dns-server,[fd00:a::1]'
    own=fd00:a::216:3eff:fe00:1
    await ping -c 1 -W 1 $own
    ping -c 2 -i 0.2 -I 2001:db8::1 $own
}

test_both_families_of_a_name() {
    resolves both.test '192.0.2.6 2001:db8::6'
}

test_server_that_the_router_names_is_asked() {
    grep -q 'query\[AAAA\] both.test from fd00:a::216:3eff:fe00:1' first
}

test_servers_of_the_command_line_outrank_those_of_the_network() {
    ip addr add 10.8.0.53/32 dev xenbr0
    serve third --listen-address=10.8.0.53 --host-record=own.test,192.0.2.53
    create own talk "vif=['mac=00:16:3e:00:01:01,bridge=xenbr0']" "cmdline='paravane.dns=10.8.0.53'"
    await says own listening
    resolves own.test 192.0.2.53 own
    says own '(DHCP)'
}

test_nothing_broke() {
    never_says "$DOM" panic
    type_in "$DOM" 'quit 0'
    await is_shut "$DOM"
}

run_checks
