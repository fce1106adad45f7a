# SPDX-License-Identifier: BSD-2-Clause
# `pvbench --check --await-peer` has all that a probe can need: a vif and who answers, a disk, and another
# domain, made here. One moment of each probe; what each said is what is checked.
. ./lib.sh
./measure-peer echo &
echo=$!
id=$(xl domid "$DOM")
create server pvbench 'memory=32' "extra='--serve $id'"
await says server 'pvbench: peer: '
xenstore-write "/local/domain/$id/data/pvbench-peer" \
    "$(sed -n 's/.*pvbench: peer: \([0-9 ]*\).*/\1/p' "$(console_of server)")"
await says "$DOM" '[0-9]* passed, [0-9]* failed'
kill $echo
tr -d '\r' <"$(console_of "$DOM")" >said

test_every_probe_gives_figures() {
    cat said
    ! grep '^FAIL' said
    tail -n 3 said | grep ' 0 failed'
}

test_only_what_needs_more_cpus_is_left_out() {
    case $(sed -n 's/.*pvbench: [0-9]* MiB, \([0-9]*\) CPU.*/\1/p' said | head -n 1) in
    1) two=4 four=2 ;;
    [23]) two=0 four=2 ;;
    *) two=0 four=0 ;;
    esac
    [ "$(grep -c skipped said)" = $((two + four)) ]
    [ "$(grep -c 'skipped: it needs two vCPUs' said)" = $two ]
    [ "$(grep -c 'skipped: it needs four vCPUs' said)" = $four ]
}

test_what_needs_a_backend_or_a_peer_was_there() {
    for probe in evtchn.peer.pingpong grant.peer.copy xenstore.watch blk.write.1m.d8 blk.split.submit \
        net.frame.pps.1514 net.icmp.rtt.22 net.udp.out.1400 net.udp.in.1400 net.udp.pps.64 net.tcp.in; do
        grep "^PASS $probe\$" said
    done
}

# As on a user's host: what make bundle made, in an empty place. Meanwhile Xen writes down what it is asked.
test_the_bundle_measures_on_a_host() {
    mkdir host
    tar -xzf pvbench.tar.gz -C host
    xentrace -e 0x00223000 -S 1024 /dev/shm/trace &
    tracer=$!
    MEMORY=32 VCPUS=1 host/pvbench/on-xen-host hypercall.null floor.loop blk.flush net.udp.rtt.64 evtchn.peer \
        smp.wake --seconds 0.05
    kill $tracer
    wait $tracer || :
    cat /dev/shm/trace >"$shared/trace"
    cp host/pvbench/pvbench.log "$shared"
}

run_checks
