# SPDX-License-Identifier: BSD-2-Clause
# How domains end: the lab's own domain is only a bystander that says hello.
. ./lib.sh
vif="vif=['mac=00:16:3e:00:01:01,bridge=xenbr0,ip=10.8.0.77']"
control() {
    echo "/local/domain/$(xl domid "$1")/control/$2"
}

serves() {
    await nc -z -w 5 10.8.0.77 13
}

test_shutdown() {
    create one netserver "$vif"
    serves
    xl shutdown -w one
    exits one 0
}

ends_when_told() {
    create told endings "cmdline='$1'"
    await says told waiting
    xl shutdown -w told
    exits told "$2"
    says told "$3"
}

test_shutdown_runs_atexit_functions() {
    ends_when_told wait 0 'at exit;'
    says told 'destructor;'
}

test_shutdown_calls_the_handler_of_sigterm() {
    ends_when_told handler 9 'told by 15'
}

test_shutdown_of_who_ignores_sigterm_takes_the_grace() {
    ends_when_told ignore 1 'did not end in time'
    never_says told 'at exit;'
}

# One that finds events masked is said before the next line of the log: an unknown request is one.
heard_nmis() {
    xenstore-write "$(control nmi shutdown)" nonsense
    [ "$(grep -c 'NMI at 0x\|NMI, some time ago' "$(console_of nmi)")" = "$1" ]
}

test_nmi_is_said_and_survived() {
    create nmi netserver "$vif"
    serves
    for round in 1 2; do # the second is sent only after a return by Xen from the first
        xl trigger nmi nmi
        await heard_nmis $round
    done
    serves
    xl destroy nmi
}

test_unknown_options_are_said() {
    create odd hello "extra='paravane.lgo=debug'"
    exits odd 0
    says odd 'paravane.lgo=debug is ignored'
}

test_reboot_and_again() {
    create two netserver "$vif"
    for round in 1 2; do
        serves
        before=$(xl domid two)
        xl reboot two
        now() { after=$(xl domid two) && [ "$after" ] && [ "$after" != "$before" ]; }
        await now
    done
    serves
    xl destroy two
}

test_destroy() {
    create three netserver "$vif"
    serves
    xl destroy three
    await is_gone three
}

test_destroy_right_after_creation() {
    create three netserver "$vif"
    xl destroy three
    await is_gone three
}

test_unknown_words_are_acknowledged_and_ignored() {
    create four netserver "$vif"
    serves
    for word in explode 'power off' 0 "$(head -c 2000 /dev/zero | tr '\0' x)"; do
        xenstore-write "$(control four shutdown)" "$word"
        taken() { [ -z "$(xenstore-read "$(control four shutdown)")" ]; }
        await taken
    done
    serves
    xl shutdown -w four
    exits four 0
}

test_announces_what_it_obeys() {
    create five netserver "$vif"
    serves
    [ "$(xenstore-read "$(control five feature-poweroff)")" = 1 ]
    [ "$(xenstore-read "$(control five feature-reboot)")" = 1 ]
    xl destroy five
}

test_exit_statuses() {
    for n in 0 1 42 255; do
        create status hello "cmdline='$n'"
        exits status $n
    done
}

test_crash_is_a_crash() {
    create six fault "cmdline='null'"
    crashed() { case $(state_of six) in *c*) ;; *) return 1 ;; esac; }
    await crashed
    says six 'panic:'
    xl destroy six
}

test_tsc_modes() {
    for mode in default always_emulate native; do
        create tsc hello "tsc_mode='$mode'"
        exits tsc 0
    done
}

leftovers() {
    xenstore-ls -f / | sed -E 's/ = .*//; s,/[0-9]+(/|$),/N\1,g' | sort
    xl list | tail -n +3 | cut -d ' ' -f 1
    ls /sys/class/net
    losetup -a
}

# one_life N ROUND DISK: some are grown-up when they go, the others die in any state of their devices.
one_life() {
    create "life$1" netserver "vif=['mac=00:16:3e:00:01:8$1,bridge=xenbr0,ip=10.8.0.8$1']" "disk=['phy:$3,xvda,w']"
    [ $(($2 % 5)) != 0 ] || await says "life$1" serving
    xl destroy "life$1"
}

new_disk() {
    truncate -s 8M "$1"
    losetup --find --show "$PWD/$1"
}

test_fifty_lives_leave_nothing() {
    first=$(new_disk first)
    second=$(new_disk second)
    round=0
    while [ $round -le 25 ]; do
        one_life 1 $round "$first" &
        one_life 2 $((round + 1)) "$second"
        wait $!
        [ $round != 0 ] || { sleep 2; leftovers >before; free=$(xl info free_memory); }
        round=$((round + 1))
    done
    same() { leftovers >after; cmp before after; }
    LIMIT=60
    (await same) || { diff before after; die "something is left"; }
    [ $(($(xl info free_memory) + 4)) -ge "$free" ] || die "memory: $free, now $(xl info free_memory)"
}

run_checks
