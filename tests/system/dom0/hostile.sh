# SPDX-License-Identifier: BSD-2-Clause
# The program `victim`, whose real backends are unbound; a hostile one takes their place for each device
# (tests/hostile/dom0), both at once. Then the real ones again. The file `cases` says CASES=starred or all,
# may name some (ONLY), and says how hearts are judged (HEARTS, see there). The domain sentinel runs the same
# program and is left alone.
. ./lib.sh
. ./cases
export HEARTS
DOMID=$(xl domid "$DOM")
NET=vif-$DOMID-0
BLK=vbd-$DOMID-51712
BACK=/local/domain/0/backend

await says "$DOM" serving
create sentinel victim memory=16 "cpus='1'"
xl vcpu-pin "$DOM" all 1
SENTINEL=$(xl domid sentinel)
await xenstore-read "/local/domain/$SENTINEL/data/vitals"

# One number of the domain's own books (main.c of tests/hostile/dom0).
has() {
    ./hostile vitals "$DOMID" | tr ' ' '\n' | sed -n "/^$1$/{n;p;}"
}

has_used_its_disk() {
    [ "$(has good)" -gt 1 ]
}

await has_used_its_disk
ports=$(has ports) threads=$(has threads) grants=$(has grants) free=$(has free)
SLACK=16 # pages: the pool of blkfront grows and shrinks, and so does the heap
echo "before: $(./hostile vitals "$DOMID")"
echo "$NET" >/sys/bus/xen-backend/drivers/vif/unbind
echo "$BLK" >/sys/bus/xen-backend/drivers/vbd/unbind
./hostile net "$DOMID" 0 "$SENTINEL" "$CASES" ${ONLY:-} 2>&1 &
net=$!
./hostile blk "$DOMID" 51712 "$SENTINEL" "$CASES" ${ONLY:-} 2>&1
wait $net
echo "$NET" >/sys/bus/xen-backend/drivers/vif/bind
echo "$BLK" >/sys/bus/xen-backend/drivers/vbd/bind

is_connected() {
    [ "$(xenstore-read "$BACK/$1/state")" = 4 ] &&
        [ "$(xenstore-read "/local/domain/$DOMID/device/$2/state")" = 4 ]
}

test_real_netback_carries_streams() {
    await ip link set "vif$DOMID.0" up master xenbr0
    xenstore-write "$BACK/vif/$DOMID/0/hotplug-status" connected
    await is_connected "vif/$DOMID/0" vif/0
    ./peer stream "$IP" 5001 4000000 4
}

# Read and write all of it, right, under the real driver.
test_real_blkback_serves_whole_rounds() {
    await is_connected "vbd/$DOMID/51712" vbd/51712
    before=$(has good)
    goes_well() {
        [ "$(has good)" -gt $((before + 1)) ]
    }
    await goes_well
}

# Its drivers have taken pages that held a canary for many lives now. All that it grants is looked at, but
# for a page on its way from one grant to the next.
test_only_the_planted_canary_is_seen() {
    seen=$(./hostile eyes "$DOMID")
    echo "$seen; $(./hostile vitals "$DOMID")"
    [ "${seen#* canaries }" = 1 ]
    seen=${seen% canaries *}
    [ "${seen#pages }" -ge $((grants - SLACK)) ]
}

test_nothing_is_left() {
    is_as_before() {
        [ "$(has quarantined)" = 0 ] && [ "$(has ports)" = "$ports" ] && [ "$(has threads)" = "$threads" ] &&
            [ "$(has grants)" -le $((grants + SLACK)) ] && [ "$(has free)" -ge $((free - SLACK)) ]
    }
    await is_as_before ||
        die "ports were $ports, threads $threads, grants $grants, free pages $free: $(./hostile vitals "$DOMID")"
}

test_disk_ends_well() {
    xenstore-write "/local/domain/$DOMID/data/stop" 1
    await is_shut "$DOM"
    says "$DOM" 'last round good'
    says "$DOM" 'exit status 0'
}

test_no_panic() {
    never_says "$DOM" panic
}

run_checks
