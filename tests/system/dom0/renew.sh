# SPDX-License-Identifier: BSD-2-Clause
# A lease of two minutes, the shortest that dnsmasq gives: the domain keeps its address by asking again.
. ./lib.sh
dnsmasq --conf-file=/dev/null --user=root --pid-file= --port=0 --interface=xenbr0 --bind-interfaces \
    --log-facility="$PWD/log" --log-dhcp --dhcp-authoritative --dhcp-leasefile="$PWD/leases" \
    --dhcp-range=10.8.0.100,10.8.0.150,255.255.255.0,2m

asked() {
    [ "$(grep -c 'DHCPACK' log)" -ge "$1" ]
}

test_lease_is_renewed_and_the_address_stays() {
    await says "$DOM" listening
    echo 'name x.test' >"$(xenstore-read "/local/domain/$(xl domid "$DOM")/console/tty")"
    await asked 1
    address=$(cut -d ' ' -f 3 leases)
    searched=$(grep -c 'DHCPDISCOVER' log)
    await asked 2
    await asked 3
    [ "$(cut -d ' ' -f 3 leases)" = "$address" ] || die "$address, then $(cat leases)"
    [ "$(grep -c 'DHCPDISCOVER' log)" = "$searched" ] || die "$(cat log)"
    ping -c 2 -i 0.2 "$address"
    never_says "$DOM" panic
}

run_checks
