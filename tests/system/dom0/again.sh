# SPDX-License-Identifier: BSD-2-Clause
# The program `victim` with a vif and a vbd that are cut again and again, each in one of three ways in
# turn, while a checked stream runs and all of the disk is written and read. Afterwards the domain and
# dom0 have what they had before. The file `count` says RECONNECTS=N.
. ./lib.sh
. ./count
LIMIT=900
DOMID=$(xl domid "$DOM")
MAC=00:16:3e:00:00:01
VIF=/local/domain/0/backend/vif/$DOMID/0
VBD=/local/domain/0/backend/vbd/$DOMID/51712
SLACK=32 # pages that the heap may keep, however many rounds
LIFE=2.2 # s: what is shorter makes the frontends wait before the next one

await says "$DOM" serving

# One number of the domain's own books.
has() {
    ./hostile vitals "$DOMID" | tr ' ' '\n' | sed -n "/^$1$/{n;p;}"
}

has_more() {
    [ "$(has "$1")" -gt "$2" ]
}

is_in() {
    [ "$(xenstore-read "$1/state")" = 4 ]
}

is_up() {
    is_in "$VIF" && is_in "$VBD" && is_in "/local/domain/$DOMID/device/vif/0" &&
        is_in "/local/domain/$DOMID/device/vbd/51712" && ping -c 1 -W 10 "$IP"
}

# ---- three ways to be cut ----

write_states() {
    for state in 5 6 2; do
        xenstore-write "$VIF/state" $state
        xenstore-write "$VBD/state" $state
        usleep 100000
    done
}

change_drivers() {
    echo "vif-$DOMID-0" >/sys/bus/xen-backend/drivers/vif/unbind
    echo "vbd-$DOMID-51712" >/sys/bus/xen-backend/drivers/vbd/unbind
    echo "vbd-$DOMID-51712" >/sys/bus/xen-backend/drivers/vbd/bind
    echo "vif-$DOMID-0" >/sys/bus/xen-backend/drivers/vif/bind
    await ip link set "vif$DOMID.0" up master xenbr0
    xenstore-write "$VIF/hotplug-status" connected
}

unplug_and_plug() {
    xl network-detach "$DOM" 0
    xl block-detach "$DOM" 51712
    xl network-attach "$DOM" "mac=$MAC" bridge=xenbr0 "ip=$IP"
    xl block-attach "$DOM" phy:/dev/lab0,xvda,w
}

# ---- load ----

# Connections outlive a cut; a new one cannot begin when dom0 has given up looking for the other end.
stream_until_told() {
    while ! [ -e enough ]; do
        ./peer stream "$IP" 5001 20000000 1 >streamed 2>&1 || grep -q 'connect: No route' streamed || touch broken
    done
}

cut_once() {
    case $(($1 % 3)) in
    0) write_states ;;
    1) change_drivers ;;
    2) unplug_and_plug ;;
    esac
    await is_up
    sleep $LIFE
    ! [ -e broken ] || die "the stream broke in round $1: $(cat streamed)"
}

# Under load: (n) rounds, and whole rounds over the disk after them.
cut_again_and_again() {
    rm -f enough
    stream_until_told &
    round=0
    while [ $round -lt "$1" ]; do
        cut_once $round
        round=$((round + 1))
    done
    touch enough
    wait
    ! [ -e broken ] || die "the stream broke"
    await has_more good $(($(has good) + 2))
}

# ---- what there is ----

books() {
    echo "quarantined $(has quarantined) grants $(has grants) ports $(has ports) threads $(has threads)"
    xenstore-ls -f / | sed 's/ = .*//' | grep -v /error/ | sort
    ls /sys/class/net /sys/bus/xen-backend/devices
    losetup -a
}

# Free pages go up and down with each round over the disk: the most of some.
free_pages() {
    most=0
    for look in $(seq 20); do
        now=$(has free)
        [ "$now" -le $most ] || most=$now
        sleep 0.25
    done
    echo $most
}

test_nothing_is_lost_and_nothing_is_left() {
    cut_again_and_again 3
    books >before
    free=$(free_pages) xen=$(xl info free_memory) bad=$(has bad)
    cut_again_and_again "$RECONNECTS"
    same() { books >after; cmp before after; }
    (LIMIT=100 && await same) || { diff before after; die "something is left"; }
    free_now=$(free_pages) xen_now=$(xl info free_memory)
    {
        echo "$RECONNECTS rounds, then: $(./hostile vitals "$DOMID")"
        echo "free pages $free, now $free_now; Xen's free memory $xen MiB, now $xen_now"
    } >figures
    [ "$(has bad)" = "$bad" ] || die "$(has bad) rounds over the disk went wrong"
    [ $((free_now + SLACK)) -ge "$free" ] || die "free pages: $free, now $free_now"
    [ "$xen_now" -ge "$xen" ] || die "Xen's free memory: $xen MiB, now $xen_now"
}

test_disk_ends_well() {
    xenstore-write "/local/domain/$DOMID/data/stop" 1
    await is_shut "$DOM"
    says "$DOM" 'last round good'
    says "$DOM" 'exit status 0'
    never_says "$DOM" 'a connection broke'
    never_says "$DOM" panic
}

run_checks
status=$?
cat figures
exit $status
