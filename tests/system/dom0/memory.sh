# SPDX-License-Identifier: BSD-2-Clause
# Domains of all sizes, with nothing and with much attached to them.
. ./lib.sh

hello_with() {
    create sized hello "$@"
    exits sized 0
}

test_3_mib() {
    hello_with memory=3
}

test_4_mib() {
    hello_with memory=4
}

test_8_mib() {
    hello_with memory=8
}

test_64_mib() {
    hello_with memory=64
}

test_512_mib() {
    hello_with memory=512
}

# vcpus N: all of them run
vcpus() {
    create sized hello memory=64 "vcpus=$1"
    await says sized "cpus: $1 of $1 online"
    exits sized 0
}

test_32_cpus() {
    vcpus 32
}

# vcpu_info in the shared page ends with the 32nd.
test_40_cpus() {
    vcpus 40
}

test_4_mib_that_may_become_8192() {
    hello_with memory=4 maxmem=8192
}

test_no_vif_and_no_vbd() {
    create bare netserver
    await says bare serving
    says bare 'no network interface'
    xl shutdown -w bare
    exits bare 0
}

test_many_vifs() {
    vifs=
    for i in 0 1 2 3; do
        ip addr add 10.2$i.0.1/24 dev xenbr0
        vifs="$vifs'mac=00:16:3e:00:02:0$i,bridge=xenbr0,ip=10.2$i.0.10',"
    done
    create many netserver "vif=[$vifs]"
    await says many serving
    for i in 0 1 2 3; do
        nc 10.2$i.0.10 13 </dev/null | grep used
    done
    xl destroy many
}

test_many_vbds_and_vifs_in_8_mib() {
    disks= vifs=
    for i in 0 1 2 3 4 5 6 7; do
        truncate -s 1M disk$i
        disks="$disks'$PWD/disk$i,raw,xvd$(echo $i | tr 0-7 a-h),w',"
        vifs="$vifs'mac=00:16:3e:00:03:0$i,bridge=xenbr0,ip=10.3$i.0.10',"
    done
    ip addr add 10.30.0.1/24 dev xenbr0
    create many netserver memory=8 "disk=[$disks]" "vif=[$vifs]"
    await says many serving
    nc 10.30.0.10 13 </dev/null | grep used
    xl destroy many
}

# The file has holes; what it holds is a few MiB at its begin and one block at its end.
test_disk_of_three_tebibytes() {
    truncate -s $((3 << 40)) huge
    create huge block memory=64 "disk=['$PWD/huge,raw,xvda,w']"
    exits huge 0
    tail -c 4096 huge | grep -qx 'sector 6442450936'
    [ "$(du -m huge | cut -f 1)" -lt 32 ]
    rm huge
}

run_checks
